// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.util.Random;
import java.util.TreeSet;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.metadata.Digest;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.MetadataFailedException;
import org.dmera.core.metadata.RefusedException;

/**
 * Does random things to era metadata and to a model of it, side by side: marks, eras, digestion step by step,
 * snapshots, growing and shrinking, closing and opening, and crashes. The same seed does the same things.
 */
public final class EraExerciser {
    /** Told of each commit of the metadata; {@code state} is what it then means. */
    public interface Commits {
        void committed(EraModel state) throws IOException;
    }

    private static final long BLOCK_SIZE_SECTORS = 8;

    private final BlockDevice device;
    private BlockDevice truth;
    private final Random random;
    private final int maxBlocks;
    private final long blockSizeSectors;
    private final int cacheBlocks;
    private final Commits commits;
    private EraMetadata metadata;
    private Digest digest;
    private EraModel model = new EraModel();
    private EraModel committed = new EraModel();
    /** The model's copy of where digestion is: −1 not under way, −2 before a look-up, else the next bit. */
    private int digestBit;

    private int digestNrBits;
    /** Taking a snapshot commits on its way: what that means, while it is being done. */
    private EraModel innerCommit;

    private Commits innerCommits = state -> {};
    private int failures;
    private boolean opening;
    private String last = "";

    /** On a blank device, or on one with metadata, which is then gone on with. */
    public EraExerciser(BlockDevice device, long seed, int maxBlocks, int cacheBlocks, Commits commits)
            throws IOException {
        this(device, seed, maxBlocks, cacheBlocks, BLOCK_SIZE_SECTORS, commits);
    }

    public EraExerciser(
            BlockDevice device, long seed, int maxBlocks, int cacheBlocks, long blockSizeSectors, Commits commits)
            throws IOException {
        this.device = device;
        this.truth = device;
        this.random = new Random(seed);
        this.maxBlocks = maxBlocks;
        this.cacheBlocks = cacheBlocks;
        this.blockSizeSectors = blockSizeSectors;
        this.commits = commits;
        boolean blank = EraMetadata.isBlank(device);
        open();
        if (blank) {
            committed();
            // What is opened again before this keeps an index that is two blocks off: see Health.
            commit();
        } else {
            model = EraModel.read(device);
            committed = model.copy();
        }
    }

    /** What the metadata should mean now, the open transaction included. */
    public EraModel model() {
        return model;
    }

    /** What the last commit left. */
    public EraModel lastCommitted() {
        return committed;
    }

    public EraMetadata metadata() {
        return metadata;
    }

    /** What lies beneath a device that fails: looked at after a failure. */
    public void truth(BlockDevice beneath) {
        truth = beneath;
    }

    /** {@code commits} is told of the commits that verbs make on their way. */
    public void onInnerCommit(Commits commits) {
        innerCommits = commits;
    }

    /** How often the metadata failed and had to be opened again. */
    public int failures() {
        return failures;
    }

    /** The operation that was done last. */
    public String last() {
        return last;
    }

    /** Does one random thing. A full or failing device is survived by opening it again. */
    public void step() throws IOException {
        try {
            one(random.nextInt(100));
        } catch (IOException e) {
            recover(e);
        }
    }

    private void one(int dice) throws IOException {
        if (model.current == null) {
            begin();
        } else if (dice < 40) {
            mark();
            commitMaybe(70);
        } else if (dice < 53) {
            last = "rollover";
            metadata.rollover();
            model.rollover();
            commitMaybe(80);
        } else if (dice < 77) {
            // Now and then far enough for two writesets, or they would pile up.
            int whole = 2 * (model.nrBlocks / Digest.BITS_PER_STEP + 3);
            digest(1 + random.nextInt(random.nextInt(3) == 0 ? 2 * whole : 10));
            commitMaybe(30);
        } else if (dice < 84) {
            snapshot();
            commit();
        } else if (dice < 87) {
            last = "archive";
            metadata.archive();
            model.archive();
            commitMaybe(80);
        } else if (dice < 91) {
            commit();
            open();
        } else if (dice < 96) {
            crash();
        } else {
            commit();
        }
    }

    /** As a resume: perhaps another size, then a new era. */
    private void begin() throws IOException {
        int n = model.nrBlocks == 0 || random.nextInt(3) == 0 ? 1 + random.nextInt(maxBlocks) : model.nrBlocks;
        if (random.nextInt(8) == 0) {
            n = Math.min(maxBlocks, 1018 * (1 + random.nextInt(1 + maxBlocks / 1018)));
        }
        last = "resize " + model.nrBlocks + " to " + n;
        if (n != model.nrBlocks) {
            // A target keeps its digestion over a resize of another table only by beginning again.
            beginDigestAfresh();
            metadata.resize(n);
            model.resize(n);
            commitMaybe(80);
        }
        metadata.newEra();
        model.newEra();
        commitMaybe(80);
    }

    private void mark() throws IOException {
        int count = 1 + random.nextInt(20);
        int n = model.current.nrBits();
        int base = random.nextInt(n);
        last = "mark " + count + " near " + base;
        for (int i = 0; i < count; i++) {
            int block = random.nextInt(4) == 0 ? random.nextInt(n) : Math.min(n - 1, base + i);
            metadata.mark(block);
            model.current.bits().set(block);
        }
    }

    private void digest(int steps) throws IOException {
        last = "digest " + steps + " steps";
        digest.begin();
        if (digestBit == -1) {
            digestBit = -2;
        }
        for (int i = 0; i < steps && digest.step(); i++) {
            modelDigestStep();
        }
        if (!digest.underWay()) {
            digestBit = -1;
        }
    }

    private void modelDigestStep() {
        if (digestBit == -2) {
            EraModel.Writeset lowest = model.archived.firstEntry().getValue();
            digestNrBits = Math.min(lowest.nrBits(), model.nrBlocks);
            digestBit = 0;
        } else if (digestBit == digestNrBits + 1) {
            model.digestLowest(digestNrBits);
            digestBit = -2;
        } else {
            int end = Math.min(digestBit + Digest.BITS_PER_STEP, digestNrBits);
            digestBit = end == digestNrBits ? digestNrBits + 1 : end;
        }
    }

    private void snapshot() throws IOException {
        try {
            if (model.snapshot == null) {
                last = "take snapshot";
                innerCommit = model.copy();
                innerCommit.rollover();
                metadata.takeSnapshot();
                model.takeSnapshot();
                committed = innerCommit;
                innerCommits.committed(innerCommit);
            } else {
                last = "drop snapshot";
                metadata.dropSnapshot();
                model.snapshot = null;
            }
        } catch (RefusedException e) {
            throw new AssertionError(e);
        }
    }

    private void commitMaybe(int percent) throws IOException {
        if (random.nextInt(100) < percent) {
            commit();
        }
    }

    private void commit() throws IOException {
        last += ", commit";
        metadata.commit();
        committed();
    }

    private void committed() throws IOException {
        innerCommit = null;
        committed = model.copy();
        commits.committed(committed);
    }

    private void crash() throws IOException {
        last = "crash";
        model = committed.copy();
        open();
    }

    private void open() throws IOException {
        opening = true;
        metadata = EraMetadata.openOrFormat(device, blockSizeSectors, cacheBlocks);
        opening = false;
        beginDigestAfresh();
    }

    /** The failure that was recovered from may not have been the one that was injected. */
    private void openAtSecondTry() throws IOException {
        try {
            open();
        } catch (IOException e) {
            open();
        }
    }

    private void beginDigestAfresh() {
        digest = new Digest(metadata);
        digestBit = -1;
    }

    /** The failed operation must have left the last commit, or one that it was just making. */
    private void recover(IOException e) throws IOException {
        failures++;
        last += " failed: " + e.getMessage();
        if (!opening) {
            requireFailMode(e);
        }
        EraModel found = EraModel.read(truth);
        TreeSet<String> accepted = new TreeSet<>();
        for (EraModel candidate : new EraModel[] {committed, innerCommit, model}) {
            if (candidate != null) {
                accepted.add(candidate.toString());
                if (candidate.sameMeaning(found)) {
                    // Of two that mean the same, the device knows which it is.
                    committed = found;
                    model = found.copy();
                    innerCommit = null;
                    openAtSecondTry();
                    return;
                }
            }
        }
        throw new AssertionError("after " + last + " the device means " + found + ", expected one of " + accepted, e);
    }

    private void requireFailMode(IOException e) throws IOException {
        if (metadata.failure() == null) {
            throw new AssertionError("an exception without fail mode after " + last, e);
        }
        try {
            metadata.commit();
        } catch (MetadataFailedException expected) {
            return;
        }
        throw new AssertionError("changes are accepted in fail mode after " + last);
    }
}
