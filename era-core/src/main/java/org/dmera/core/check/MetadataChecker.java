// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.MisdirectedWrites;
import org.dmera.core.evidence.Structure;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.StoredCounts;

/**
 * Checks a metadata device against every rule of the format.
 *
 * <p>The order matters for speed, not for the result: superblock; index and bitmaps, which show where to read; one pass
 * over the used blocks; the trees; and last the counts.
 */
public final class MetadataChecker {
    private static final long SUPERBLOCK_NR = 0;

    private final BlockDevice device;
    private final CheckOptions options;
    private DamageLog log = new DamageLog();
    private final BlockUse table;
    /** The checksum that block 0 had. */
    private int seal;

    private MetadataChecker(BlockDevice device, CheckOptions options) {
        this.device = device;
        this.options = options;
        this.table = new BlockUse(device.sizeBlocks());
    }

    /** Checks everything on the caller's thread. */
    public static CheckReport check(BlockDevice device) throws InterruptedIOException {
        return check(device, CheckOptions.defaults());
    }

    /**
     * Checks a device. What the device can't deliver is part of the report.
     *
     * @throws InterruptedIOException when a thread that reads is interrupted, or the device is closed meanwhile: there is no
     *     report then, for nothing is known of what was not read
     */
    public static CheckReport check(BlockDevice device, CheckOptions options) throws InterruptedIOException {
        MetadataChecker checker = new MetadataChecker(device, options);
        try {
            checker.run();
        } catch (UncheckedIOException e) {
            InterruptedIOException interrupted = new InterruptedIOException("interrupted while the device was read");
            interrupted.initCause(e);
            throw interrupted;
        }
        return new CheckReport(checker.log, checker.table, options.scope(), checker.seal);
    }

    private void run() {
        BlockReader opener = new BlockReader(device, table, log, new BlockVerdict(0));
        if (table.size() == 0) {
            DamageLocation nowhere = DamageLocation.of(Structure.SUPERBLOCK, "", "");
            log.add(DamageKind.BAD_FIELD, nowhere, Damage.NO_BLOCK, "the device is smaller than one block");
            return;
        }
        SuperblockCheck check = new SuperblockCheck(opener, SUPERBLOCK_NR);
        Superblock superblock = check.read();
        if (superblock == null) {
            log.treesIncomplete(true);
            return;
        }
        seal = superblock.checksum();
        int lastDigested = (int) superblock.lastArchived();
        BlockVerdict verdict = new BlockVerdict(lastDigested, lastHeld(superblock, lastDigested));
        BlockReader reader = new BlockReader(device, table, log, verdict);
        if (options.scope() != CheckOptions.Scope.PLACES) {
            check.judgeFields(superblock, device.sizeBlocks());
        }
        switch (options.scope()) {
            case SUPERBLOCK -> {}
            case SNAPSHOT -> checkSnapshotAlone(superblock, reader);
            case ALL -> checkAll(superblock, reader, verdict);
            case PLACES -> checkAll(superblock, reader.ofNodes(), verdict);
        }
    }

    /** The last era that the array of a held snapshot can have; of one that can't be read, what is wrong is reported later. */
    private int lastHeld(Superblock superblock, int lastDigested) {
        try {
            return superblock.metadataSnap() == 0
                    ? lastDigested
                    : (int) MetadataRoots.readSnapshot(device).lastArchived();
        } catch (IOException e) {
            return lastDigested;
        }
    }

    /**
     * Counts the references that the live trees and the snapshot hold, the superblock's own included, and nothing of
     * the space map. Only for metadata whose trees a check has found whole.
     *
     * @throws IOException when they aren't any more, or the device fails
     */
    public static BlockUse countReferences(BlockDevice device) throws IOException {
        BlockReader reader =
                BlockReader.quiet(device, new BlockUse(device.sizeBlocks())).ofNodes();
        Superblock superblock = new SuperblockCheck(reader, SUPERBLOCK_NR).read();
        if (superblock == null) {
            throw notAsChecked(reader);
        }
        reader.table().addReference(SUPERBLOCK_NR);
        walkTrees(superblock, reader);
        if (reader.log().areTreesIncomplete()) {
            throw notAsChecked(reader);
        }
        return reader.table();
    }

    private static IOException notAsChecked(BlockReader reader) {
        return new IOException("since the check the metadata can't be read any more: "
                + reader.log().kept().get(0));
    }

    /** Counts what the held snapshot refers to, in a table that has remembered the places of the live trees. */
    public static void claimSnapshot(Superblock superblock, BlockReader reader) {
        checkSnapshot(superblock, reader, false);
    }

    private static void walkTrees(Superblock superblock, BlockReader reader) {
        if (superblock.metadataSnap() != 0) {
            reader.table().rememberPlaces();
        }
        new EraTreesCheck(reader, superblock, BlockUse.LIVE).run();
        if (superblock.metadataSnap() != 0) {
            checkSnapshot(superblock, reader, true);
        }
    }

    private void checkAll(Superblock superblock, BlockReader reader, BlockVerdict verdict) {
        table.addReference(SUPERBLOCK_NR);
        SpaceMapCheck spaceMap = new SpaceMapCheck(reader, superblock, device.sizeBlocks());
        StoredCounts counts = spaceMap.load();
        if (reader.readsArrays()) {
            new DeviceScan(device, table, counts, verdict, options).runAll();
        }
        walkTrees(superblock, reader);
        spaceMap.claim();
        log.judgeEraGaps(!spaceMap.isAllAccountedFor());
        if (reader.readsArrays() || spaceMap.agreesWithItself()) {
            spaceMap.compare();
        }
        if (!log.kept().isEmpty()) {
            reportMisdirectedWrites(reader, counts);
        }
    }

    private void reportMisdirectedWrites(BlockReader reader, StoredCounts counts) {
        MisdirectedWrites.find(reader, counts, log.kept().stream())
                .forEach((meant, at) -> log.add(
                        DamageKind.MISDIRECTED_WRITE,
                        DamageLocation.of(
                                reader.code(meant) == BlockVerdict.WORDS ? Structure.WRITESET : Structure.ERA_ARRAY,
                                "",
                                "the origin blocks of that part count as written later than they were"),
                        meant,
                        "block " + at + " holds what was written for this one, which may be an older version"));
    }

    private void checkSnapshotAlone(Superblock superblock, BlockReader reader) {
        if (superblock.metadataSnap() == 0) {
            noSnapshot("no current metadata snap");
            return;
        }
        table.rememberPlaces();
        ByteBuffer before = BlockReader.newBuffer();
        ByteBuffer after = BlockReader.newBuffer();
        boolean isThere = readCopy(superblock, reader, before);
        checkSnapshot(superblock, reader, false);
        log.judgeEraGaps(false);
        if (log.kept().stream().allMatch(damage -> damage.severity() == Severity.NOTE)) {
            addMisplacedParts();
        }
        boolean isSame = readCopy(superblock, reader, after) == isThere && (!isThere || after.equals(before));
        if (isHeldNoMore(superblock) || !isSame) {
            // Its blocks are written over then: nothing that was found in them says anything.
            log = new DamageLog();
            log.treesIncomplete(true);
            noSnapshot("the metadata snapshot was dropped while it was read");
        }
    }

    private void addMisplacedParts() {
        try {
            Damage missed = PlacesCheck.find(device, true);
            if (missed != null) {
                DamageLocation snapshot = DamageLocation.of(
                        missed.structure(), "superblock > metadata snapshot", "the snapshot is dropped");
                log.add(missed.kind(), snapshot, missed.blockNr(), missed.detail());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void noSnapshot(String detail) {
        DamageLocation field = DamageLocation.of(Structure.SNAPSHOT, "superblock", "");
        log.add(DamageKind.BAD_FIELD, field, Damage.NO_BLOCK, detail);
    }

    /** Whether a superblock that is as it should be names another snapshot, or none. */
    private boolean isHeldNoMore(Superblock superblock) {
        try {
            return MetadataRoots.read(device).metadataSnap() != superblock.metadataSnap();
        } catch (IOException e) {
            return false;
        }
    }

    /** Reads the snapshot's copy of the superblock, whatever it holds; false when it can't be read. */
    private boolean readCopy(Superblock superblock, BlockReader reader, ByteBuffer copy) {
        return table.isUsable(superblock.metadataSnap()) && reader.tryRead(superblock.metadataSnap(), copy) == null;
    }

    private static void checkSnapshot(Superblock live, BlockReader reader, boolean comparable) {
        SuperblockCheck check = new SuperblockCheck(reader, live.metadataSnap());
        Superblock copy = check.claim();
        if (copy == null) {
            reader.log().treesIncomplete(true);
            return;
        }
        check.judgeFields(copy, reader.table().size());
        if (comparable) {
            check.compareWith(live, copy);
        }
        new EraTreesCheck(reader, copy, BlockUse.SNAPSHOT).run();
    }
}
