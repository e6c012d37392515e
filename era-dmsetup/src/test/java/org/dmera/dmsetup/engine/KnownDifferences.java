// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The short list of what era-dmsetup on the engine does otherwise than was recorded, each with the reason. */
final class KnownDifferences {
    /** Commands that are not replayed, and why. */
    static final Map<String, String> COMMANDS = Map.of(
            "dmsetup targets", "the recorded kernel had no zero target loaded; the engine always has one",
            "dmsetup info -c -o all", "lists I/O statistics too, which the engine does not keep",
            "dmsetup stats list era0", "no such command",
            "dmsetup udevcookies", "no such command: era-dmsetup uses no cookies");

    /** Sections whose first command the engine refuses, with this error and this reason in its log. */
    private static final Map<String, Refusal> REFUSED = Map.of(
            "[bad tables] block size '4294967304'",
                    new Refusal(
                            "reload ioctl on erab (253:0) failed: Invalid argument",
                            "Block size does not fit 32 bits (-EINVAL)",
                            "the kernel lets it wrap to 8"),
            "[bad tables] same device for metadata and origin",
                    new Refusal(
                            "reload ioctl on erab (253:0) failed: Invalid argument",
                            "Metadata and origin are the same device (-EINVAL)",
                            "each would destroy the other"),
            "[misc] second era device on the same metadata and origin (NOT refused?)",
                    new Refusal(
                            "reload ioctl on era0dup (253:1) failed: Device or resource busy",
                            "Metadata device is in use by another era target (-EBUSY)",
                            "two era targets on one metadata device destroy it"),
            "[bad tables] writeset_tree_root is a bitmap block",
                    new Refusal(
                            "resume ioctl on erab  failed: Input/output error",
                            "by its checksum it is another kind: space map bitmap",
                            "the kernel goes on without archiving eras; what is written then is not in the record"),
            "[bad tables] nr_blocks larger than array",
                    new Refusal(
                            "resume ioctl on erab  failed: Input/output error",
                            "preresume failed, error = -5",
                            "metadata that contradicts itself is for era_check and era_repair"),
            "[bad tables] sm nr_blocks larger than the device",
                    new Refusal(
                            "reload ioctl on erab (253:0) failed: Input/output error",
                            "Error reading metadata (-EIO)",
                            "the kernel fails later, when it allocates a block that is not there"));

    private static final String RELOADED = "\\[reload\\] load-first(\\+status-inactive)?";
    private static final String RELOADED_AND_WRITTEN = "\\[reload\\] load-first\\+writes";
    private static final String RELOADED_AND_CHECKPOINT = "\\[reload\\] load-first\\+writes\\+checkpoint";

    /** What the engine answers instead of a recorded line of output. */
    private static final List<Line> LINES = List.of(
            new Line(
                    ".*",
                    "(0 65536 era 8 2[0-3]/1024 [34]) 38",
                    "$1 36",
                    "the kernel's status of an inactive table commits; the engine's only reads: so the first"
                            + " snapshot lies two blocks lower"),
            staleRoots("\\[era numbers\\] reload same table while active.*", 65_536, "19/1024 9", "21/1024 9"),
            staleRoots("\\[era numbers\\] rename", 65_536, "21/1024 9", "17/1024 9"),
            new Line(
                    "\\[messages\\] odd messages",
                    "(0 65536 era 8 20/1024 11) 36",
                    "$1 33",
                    "the blocks that stale roots left in use until the next commit lie elsewhere"),
            new Line(
                    "\\[bad tables\\] era_array_root.*",
                    1,
                    "(0 65536 era) 8 19/1024 4 -",
                    "$1 Error",
                    "the kernel stops digesting, in silence; the engine says that the metadata is damaged"),
            staleRoots(RELOADED, 131_072, "27/1024 3", "31/1024 3"),
            staleRoots(RELOADED, 131_072, "31/1024 3", "25/1024 3"),
            staleRoots(RELOADED_AND_WRITTEN, 131_072, "27/1024 3", "39/1024 3"),
            staleRoots(RELOADED_AND_WRITTEN, 131_072, "31/1024 3", "25/1024 3"),
            staleRoots(RELOADED_AND_CHECKPOINT, 131_072, "27/1024 3", "39/1024 4"),
            staleRoots(RELOADED_AND_CHECKPOINT, 131_072, "31/1024 3", "25/1024 4"),
            staleRoots(RELOADED_AND_CHECKPOINT, 131_072, "25/1024 3", "25/1024 4"));

    private record Refusal(String error, String logged, String why) {}

    /**
     * @param section what the section's title matches
     * @param skip in so many earlier commands of the section the line stands as recorded
     */
    private record Line(String section, int skip, String recorded, String ours, String why) {
        Line(String section, String recorded, String ours, String why) {
            this(section, 0, recorded, ours, why);
        }

        boolean concerns(Transcript.Section in, Transcript.Step step) {
            if (!in.title().matches(section) || !isSaidBy(step)) {
                return false;
            }
            long earlier = in.steps().stream()
                    .takeWhile(other -> !other.equals(step))
                    .filter(this::isSaidBy)
                    .count();
            return earlier >= skip;
        }

        private boolean isSaidBy(Transcript.Step step) {
            return step.stdout().stream().anyMatch(line -> line.matches(recorded));
        }
    }

    private static Line staleRoots(String section, int sectors, String recorded, String ours) {
        return new Line(
                section,
                "(0 " + sectors + " era 8) " + recorded + " -",
                "$1 " + ours + " -",
                "the kernel goes on with the roots that it read when the table was loaded, and loses what the suspend"
                        + " archived after that; the engine reads them again, and digests what was archived one"
                        + " command earlier");
    }

    private KnownDifferences() {}

    /** Whether the engine refuses what the kernel took, or refuses it earlier: then the rest of the section has no object. */
    static boolean isRefused(Transcript.Section section) {
        return REFUSED.containsKey(section.title());
    }

    /** The step as the engine must answer it. */
    static Transcript.Step apply(Transcript.Section section, Transcript.Step step) {
        Refusal refusal = REFUSED.get(section.title());
        if (refusal != null) {
            return new Transcript.Step(
                    step.number(),
                    step.command(),
                    "1",
                    List.of(),
                    List.of("device-mapper: " + refusal.error, "Command failed."),
                    List.of(refusal.logged));
        }
        List<String> stdout = new ArrayList<>(step.stdout());
        for (Line line : LINES) {
            if (line.concerns(section, step)) {
                stdout.replaceAll(
                        said -> said.matches(line.recorded) ? said.replaceFirst(line.recorded, line.ours) : said);
            }
        }
        return new Transcript.Step(
                step.number(), step.command(), step.result(), stdout, step.stderr(), step.kernelLog());
    }

    /** What is listed here and concerns nothing in the recording. */
    static List<String> notIn(List<Transcript.Section> all) {
        List<String> left = new ArrayList<>(COMMANDS.keySet());
        List<Line> lines = new ArrayList<>(LINES);
        REFUSED.forEach((title, refusal) -> left.add(title + ": " + refusal.why));
        for (Transcript.Section section : all) {
            left.removeIf(listed -> listed.startsWith(section.title() + ": "));
            for (Transcript.Step step : section.steps()) {
                left.remove(step.command());
                lines.removeIf(line -> line.concerns(section, step));
            }
        }
        lines.forEach(line -> left.add(line.section + " " + line.recorded + ": " + line.why));
        return left;
    }
}
