// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.metadata.Digest;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.MetadataFailedException;
import org.dmera.core.metadata.RefusedException;
import org.dmera.core.persistent.NoSpaceException;
import org.dmera.core.read.MetadataRoots;

/**
 * Sound metadata that can be damaged: what it looks like, what it means, and what its blocks held before.
 *
 * @param name for reports
 * @param image the whole metadata device; not to be changed
 * @param truth what it means
 * @param older for each block the contents that it had before, the latest last
 */
@SuppressWarnings("ArrayRecordComponent")
public record RepairSubject(String name, byte[] image, EraTruth truth, Map<Integer, List<byte[]>> older) {
    private static final int BLOCK = BlockDevice.BLOCK_BYTES;
    /** Contents of a block that are remembered. */
    private static final int MAX_OLDER = 8;

    private static final int BLOCK_SIZE_SECTORS = 8;

    /** Whether a metadata snapshot is held. */
    public boolean isSnapshotHeld() {
        try {
            return MetadataRoots.read(new MemoryBlockDevice(image)).metadataSnap() != 0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * What our engine has left after a few random sessions: eras, marks, digestion, snapshots, tables that grow and
     * shrink, and ends of all sorts. Null when the seed led to something else than {@code snapshotHeld}.
     */
    public static RepairSubject ofSessions(long seed, boolean snapshotHeld) {
        Random random = new Random(seed * 2 + (snapshotHeld ? 1 : 0));
        HistoryDevice device = new HistoryDevice(24 + random.nextInt(140));
        try {
            new Sessions(random, device, snapshotHeld).run();
        } catch (NoSpaceException | MetadataFailedException | RefusedException full) {
            return null;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        RepairSubject subject = of("sessions " + seed, device.memory.bytes(), device.older);
        return subject.isSnapshotHeld() == snapshotHeld ? subject : null;
    }

    /** The images of the real kernel whose origin has at most {@code mostBlocks} blocks, with what came before each. */
    public static List<RepairSubject> ofKernel(boolean snapshotHeld, int mostBlocks) {
        Map<String, List<JsonNode>> scenarios = new HashMap<>();
        for (JsonNode image : Fixtures.images()) {
            scenarios
                    .computeIfAbsent(image.get("scenario").asText(), any -> new ArrayList<>())
                    .add(image);
        }
        List<RepairSubject> subjects = new ArrayList<>();
        for (List<JsonNode> images : scenarios.values()) {
            images.sort(Comparator.comparingInt(i -> i.get("steps_upto").asInt()));
            List<byte[]> before = new ArrayList<>();
            for (JsonNode image : images) {
                byte[] bytes = Fixtures.imageBytes(image);
                if (image.get("superblock").get("nr_blocks").asLong() <= mostBlocks) {
                    RepairSubject subject = of(image.get("name").asText(), bytes, differences(before, bytes));
                    if (subject.isSnapshotHeld() == snapshotHeld) {
                        subjects.add(subject);
                    }
                }
                before.add(bytes);
            }
        }
        subjects.sort(Comparator.comparing(RepairSubject::name));
        return subjects;
    }

    private static RepairSubject of(String name, byte[] image, Map<Integer, List<byte[]>> older) {
        try {
            EraTruth truth = new EraTruth();
            BlockDevice device = new MemoryBlockDevice(image);
            MetadataScanner.scan(device, MetadataRoots.read(device), truth);
            return new RepairSubject(name, image, truth, older);
        } catch (IOException e) {
            throw new UncheckedIOException(name, e);
        }
    }

    private static Map<Integer, List<byte[]>> differences(List<byte[]> before, byte[] now) {
        Map<Integer, List<byte[]>> older = new HashMap<>();
        for (int b = 0; b < now.length / BLOCK; b++) {
            for (byte[] image : before) {
                byte[] then = Arrays.copyOfRange(image, b * BLOCK, (b + 1) * BLOCK);
                List<byte[]> known = older.getOrDefault(b, new ArrayList<>());
                boolean isNow = Arrays.equals(then, Arrays.copyOfRange(now, b * BLOCK, (b + 1) * BLOCK));
                boolean isNew = known.isEmpty() || !Arrays.equals(known.get(known.size() - 1), then);
                if (!isNow && isNew && !isZero(then)) {
                    known.add(then);
                    older.put(b, known);
                }
            }
        }
        return older;
    }

    private static boolean isZero(byte[] block) {
        for (byte b : block) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }

    /** A device in memory that keeps what its blocks held before. */
    private static final class HistoryDevice implements BlockDevice {
        private final MemoryBlockDevice memory;
        private final Map<Integer, List<byte[]>> older = new HashMap<>();

        HistoryDevice(int blocks) {
            memory = new MemoryBlockDevice(blocks);
        }

        @Override
        public long sizeBlocks() {
            return memory.sizeBlocks();
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            memory.read(firstBlock, dst);
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) throws IOException {
            for (int b = (int) firstBlock; b < firstBlock + src.remaining() / BLOCK; b++) {
                byte[] was = Arrays.copyOfRange(memory.bytes(), b * BLOCK, (b + 1) * BLOCK);
                if (!isZero(was)) {
                    List<byte[]> known = older.computeIfAbsent(b, any -> new ArrayList<>());
                    known.add(was);
                    if (known.size() > MAX_OLDER) {
                        known.remove(0);
                    }
                }
            }
            memory.write(firstBlock, src);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

    /** Random sessions on one device. */
    private static final class Sessions {
        /** An origin of so many blocks needs more than one leaf for its era array. */
        private static final int DEEP = 300_000;

        private final Random random;
        private final BlockDevice device;
        private final boolean snapshotHeld;
        private EraMetadata metadata;
        private Digest digest;
        private int nrBlocks;

        Sessions(Random random, BlockDevice device, boolean snapshotHeld) {
            this.random = random;
            this.device = device;
            this.snapshotHeld = snapshotHeld;
        }

        void run() throws IOException, RefusedException {
            boolean shrinks = random.nextInt(3) == 0;
            nrBlocks = size();
            int sessions = 1 + random.nextInt(8);
            for (int s = 0; s < sessions; s++) {
                session(snapshotHeld && s >= sessions / 2);
                if (shrinks && random.nextInt(3) == 0) {
                    nrBlocks = size();
                }
            }
        }

        private int size() {
            if (random.nextInt(60) == 0 && device.sizeBlocks() > 100) {
                return DEEP + random.nextInt(20_000);
            }
            return 50 + random.nextInt(random.nextBoolean() ? 300 : 4000);
        }

        private void session(boolean keepsSnapshot) throws IOException, RefusedException {
            metadata = EraMetadata.openOrFormat(device, BLOCK_SIZE_SECTORS);
            if (metadata.nrBlocks() != nrBlocks) {
                metadata.resize(nrBlocks);
            }
            metadata.commit();
            metadata.rollover();
            metadata.commit();
            digest = new Digest(metadata);
            digest.begin();
            int operations = random.nextInt(60);
            for (int i = 0; i < operations; i++) {
                one(keepsSnapshot);
            }
            if (random.nextInt(3) != 0) {
                if (metadata.hasCurrentWriteset()) {
                    metadata.archive();
                }
                metadata.commit();
                if (random.nextBoolean()) {
                    digest(400);
                    metadata.commit();
                }
            }
        }

        private void one(boolean keepsSnapshot) throws IOException, RefusedException {
            switch (random.nextInt(8)) {
                case 0, 1, 2 -> {
                    int count = 1 + random.nextInt(4);
                    for (int i = 0; i < count; i++) {
                        metadata.mark(random.nextInt(nrBlocks));
                    }
                    metadata.commit();
                }
                case 3 -> {
                    metadata.rollover();
                    metadata.commit();
                    digest.begin();
                }
                case 4, 5 -> digest(1);
                case 6 -> {
                    digest(200);
                    if (random.nextBoolean()) {
                        metadata.commit();
                    }
                }
                default -> snapshot(keepsSnapshot);
            }
        }

        private void snapshot(boolean keeps) throws IOException, RefusedException {
            if (metadata.metadataSnap() == 0) {
                if (random.nextInt(keeps ? 1 : 4) == 0) {
                    metadata.takeSnapshot();
                    metadata.commit();
                    digest.begin();
                }
            } else if (!keeps) {
                metadata.dropSnapshot();
                metadata.commit();
            }
        }

        private void digest(int most) throws IOException {
            for (int i = 0; i < most && digest.underWay(); i++) {
                digest.step();
            }
        }
    }
}
