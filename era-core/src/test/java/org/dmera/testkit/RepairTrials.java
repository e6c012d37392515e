// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.RepairDamage.Kind;

/**
 * Damages sound metadata at random and repairs it, again and again, and looks for marks that got lost: an origin block
 * whose era in the repaired metadata is lower than it was. {@link #main} runs as many trials as anyone likes; each names
 * what it takes to see it again.
 */
public final class RepairTrials {
    /** Damages of one subject. */
    private static final int DAMAGES = 8;
    /** Every so many trials the metadata that repair makes is checked, too. */
    private static final int REBUILT = 16;
    /** Every so many trials repair is also given an era. */
    private static final int HINTED = 5;

    private static final int MAX_ORIGIN_BLOCKS = 70_000;

    /** Who made the metadata. */
    public enum Maker {
        ENGINE,
        KERNEL
    }

    /** What came of the trials of one kind. */
    public static final class Tally {
        private long trials;
        private long lost;
        private long refused;
        private long unnoticed;
        private long exact;
        private long late;
        private final List<Double> widened = new ArrayList<>();

        /** All trials. */
        public long trials() {
            return trials;
        }

        /** Trials in which marks were lost, or repair failed. */
        public long lost() {
            return lost;
        }

        /** Trials in which repair asked for more than it was told. */
        public long refused() {
            return refused;
        }

        /** Trials in which nothing told the current era, and one far ahead was taken. */
        public long late() {
            return late;
        }

        /** Trials after which no widening was needed. */
        public long exact() {
            return exact;
        }

        /** Trials in which check found nothing, and marks were gone: older contents can't be told in all cases. */
        public long unnoticed() {
            return unnoticed;
        }

        /** The share of the origin that was widened in the trial at {@code quantile} (0 to 1) of them, exact ones too. */
        public double widened(double quantile) {
            List<Double> all = new ArrayList<>(widened);
            all.sort(null);
            return all.isEmpty() ? 0 : all.get((int) Math.min(all.size() - 1, quantile * all.size()));
        }

        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT,
                    "%d trials: %d lost, %d refused, %d late, %d unnoticed, %d exact; widened: median %.1f %%, 90th percentile"
                            + " %.1f %%",
                    trials,
                    lost,
                    refused,
                    late,
                    unnoticed,
                    exact,
                    100 * widened(0.5),
                    100 * widened(0.9));
        }
    }

    private final Kind kind;
    private final Maker maker;
    private final boolean snapshotHeld;
    private final Consumer<String> complaints;
    private final Tally tally = new Tally();
    private List<RepairSubject> kernel;

    /** {@code complaints}: gets a text for each trial in which marks were lost or a sound superblock was refused. */
    public RepairTrials(Kind kind, Maker maker, boolean snapshotHeld, Consumer<String> complaints) {
        this.kind = kind;
        this.maker = maker;
        this.snapshotHeld = snapshotHeld;
        this.complaints = complaints;
    }

    /** {@code KIND|all ENGINE|KERNEL|all held|none|all SEED TRIALS}: that many trials of each, from that seed on. */
    public static void main(String[] args) {
        if (args.length != 5) {
            System.err.println("usage: RepairTrials KIND|all ENGINE|KERNEL|all held|none|all SEED TRIALS");
            System.exit(1);
        }
        boolean ok = true;
        for (Kind kind : Kind.values()) {
            for (Maker maker : Maker.values()) {
                for (boolean held : new boolean[] {false, true}) {
                    if (wanted(args[0], kind.name())
                            && wanted(args[1], maker.name())
                            && wanted(args[2], held ? "held" : "none")) {
                        Tally tally = new RepairTrials(kind, maker, held, System.out::println)
                                .run(Long.parseLong(args[3]), Integer.parseInt(args[4]));
                        System.out.println(kind + " " + maker + (held ? " held " : " none ") + tally);
                        ok &= tally.lost() == 0 && (tally.refused() == 0 || !kind.leavesSuperblock());
                    }
                }
            }
        }
        System.exit(ok ? 0 : 1);
    }

    private static boolean wanted(String given, String name) {
        return given.equals("all") || given.equalsIgnoreCase(name);
    }

    /** Runs trials from {@code seed} on until there are {@code count} of them; returns what came of them. */
    public Tally run(long seed, int count) {
        int barren = 0;
        for (long s = seed; tally.trials < count && barren < 1000; s++) {
            RepairSubject subject = subject(s);
            long before = tally.trials;
            for (int d = 0; subject != null && d < DAMAGES && tally.trials < count; d++) {
                RepairDamage damage = RepairDamage.of(subject, kind, new Random(s * DAMAGES + d));
                if (damage != null) {
                    one(subject, damage, "seed " + s + " damage " + d);
                }
            }
            barren = tally.trials > before ? 0 : barren + 1;
        }
        return tally;
    }

    private RepairSubject subject(long seed) {
        if (maker == Maker.ENGINE) {
            return RepairSubject.ofSessions(seed, snapshotHeld);
        }
        if (kernel == null) {
            kernel = RepairSubject.ofKernel(snapshotHeld, MAX_ORIGIN_BLOCKS);
        }
        return kernel.get((int) Math.floorMod(seed, (long) kernel.size()));
    }

    private void one(RepairSubject subject, RepairDamage damage, String which) {
        tally.trials++;
        List<String> said = new ArrayList<>();
        String complaint;
        try {
            complaint = judge(subject, damage, said);
        } catch (IOException | RuntimeException e) {
            java.io.StringWriter trace = new java.io.StringWriter();
            e.printStackTrace(new java.io.PrintWriter(trace));
            complaint = "failed: " + trace;
        }
        if (complaint != null) {
            tally.lost++;
            complaints.accept(kind + " " + maker + (snapshotHeld ? " held " : " none ") + which + " (" + subject.name()
                    + "; " + damage + "): " + complaint + said);
        }
    }

    /** What is wrong with what repair makes of the damaged metadata, or null. */
    private String judge(RepairSubject subject, RepairDamage damage, List<String> said) throws IOException {
        CheckReport report = MetadataChecker.check(new Overlay(subject.image(), damage));
        EraTruth truth = subject.truth();
        boolean isClean = report.isClean();
        said.addAll(
                report.damages().stream().limit(20).map(d -> "\n   check: " + d).toList());
        if (!isClean && SpaceMapRepair.isNeeded(report)) {
            String wrong = inPlace(subject, damage, report);
            if (wrong != null) {
                return wrong;
            }
        }
        SalvageHints answers =
                new SalvageHints(truth.dataBlockSizeSectors(), truth.latest().length, truth.currentEra());
        SalvageHints hints = kind.losesSuperblock() ? answers : SalvageHints.NONE;
        EraTruth now = new EraTruth();
        Salvage salvage;
        try {
            salvage = Salvage.open(new Overlay(subject.image(), damage), hints);
        } catch (IOException e) {
            tally.refused++;
            if (kind.leavesSuperblock()) {
                complaints.accept(kind + " " + maker + " refused (" + subject.name() + "; " + damage + "): " + e);
            }
            if (kind.losesSuperblock()) {
                return null;
            }
            // Who is asked gives the answers.
            hints = answers;
            salvage = Salvage.open(new Overlay(subject.image(), damage), hints);
        }
        salvage.stream(now);
        said.addAll(salvage.remarks().stream()
                .limit(20)
                .map(r -> "\n   repair: " + r)
                .toList());
        String wrong = compare(truth, now);
        if (wrong != null) {
            if (isClean) {
                tally.unnoticed++;
                return null;
            }
            return wrong;
        }
        tally.late += now.currentEra() > truth.currentEra() + 1 ? 1 : 0;
        long widened = truth.widenedIn(now);
        tally.exact += widened == 0 ? 1 : 0;
        tally.widened.add((double) widened / Math.max(1, now.latest().length));
        if (tally.trials % REBUILT == 0) {
            return rebuilt(subject, damage, hints, now);
        }
        return tally.trials % HINTED == 0 && !isClean && !kind.losesSuperblock() ? hinted(subject, damage) : null;
    }

    /** Who gives an era without being asked, the current one or a later one, loses nothing by that either. */
    private String hinted(RepairSubject subject, RepairDamage damage) throws IOException {
        EraTruth truth = subject.truth();
        // A superblock that wrongly has an open writeset may speak for one era more.
        long ahead = tally.trials % 3 + (kind == Kind.WRONG_SUPERBLOCK ? 1 : 0);
        SalvageHints hints = new SalvageHints(-1, -1, truth.currentEra() + ahead);
        EraTruth now = new EraTruth();
        try {
            Salvage.open(new Overlay(subject.image(), damage), hints).stream(now);
        } catch (IOException e) {
            // A key that damage made passes for a later era: without the option that one is taken.
            return e.getMessage().endsWith("above --current-era " + hints.currentEra()) ? null : e.toString();
        }
        String wrong = compare(truth, now);
        return wrong == null ? null : "with " + hints + ": " + wrong;
    }

    private static String compare(EraTruth truth, EraTruth now) {
        long lost = truth.lostIn(now);
        if (lost > 0) {
            return lost + " marks lost; the current era is " + now.currentEra() + ", was " + truth.currentEra();
        }
        if (now.currentEra() < truth.currentEra()) {
            return "the current era is " + now.currentEra() + ", was " + truth.currentEra();
        }
        return now.latest().length < truth.latest().length
                ? "the origin has " + now.latest().length + " blocks, had " + truth.latest().length
                : null;
    }

    /** Repair in place, on a copy: it refuses, or everything that can be read afterwards is true. */
    private static String inPlace(RepairSubject subject, RepairDamage damage, CheckReport report) throws IOException {
        Overlay copy = new Overlay(subject.image(), damage);
        try {
            SpaceMapRepair.repair(copy, report);
        } catch (IOException refused) {
            return null;
        }
        CheckReport after = MetadataChecker.check(copy);
        if (!after.isClean()) {
            return null;
        }
        EraTruth now = new EraTruth();
        MetadataScanner.scan(copy, MetadataRoots.read(copy), now);
        String wrong = compare(subject.truth(), now);
        return wrong == null ? null : "repaired in place: " + wrong;
    }

    private static String rebuilt(RepairSubject subject, RepairDamage damage, SalvageHints hints, EraTruth streamed)
            throws IOException {
        MemoryBlockDevice made = new MemoryBlockDevice(subject.image().length / BlockDevice.BLOCK_BYTES + 400);
        Salvage.open(new Overlay(subject.image(), damage), hints).stream(new MetadataBuilder(made));
        CheckReport after = MetadataChecker.check(made);
        EraTruth now = new EraTruth();
        MetadataScanner.scan(made, MetadataRoots.read(made), now);
        return !after.isClean()
                ? "what repair makes isn't clean: " + after
                : Arrays.equals(now.latest(), streamed.latest()) ? null : "what repair makes says something else";
    }

    /** A device over an image that stays as it is. */
    private static final class Overlay implements BlockDevice {
        private final byte[] image;
        private final int sizeBlocks;
        private final Map<Integer, byte[]> changed;

        Overlay(byte[] image, RepairDamage damage) {
            this.image = image;
            this.sizeBlocks = damage.sizeBlocks();
            this.changed = new HashMap<>(damage.changed());
        }

        @Override
        public long sizeBlocks() {
            return sizeBlocks;
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) {
            for (int b = Math.toIntExact(firstBlock); dst.hasRemaining(); b++) {
                byte[] bytes = changed.get(b);
                dst.put(bytes == null ? image : bytes, bytes == null ? b * BLOCK_BYTES : 0, BLOCK_BYTES);
            }
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) {
            for (int b = Math.toIntExact(firstBlock); src.hasRemaining(); b++) {
                byte[] bytes = new byte[BLOCK_BYTES];
                src.get(bytes);
                changed.put(b, bytes);
            }
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }
}
