// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/**
 * Arrows point down: a package uses those of the floors below its own, none beside it and none above. So there are no cycles
 * either. Judged by the classes as they were compiled, with {@code jdeps}.
 */
class FloorsTest {
    private static final Pattern USE = Pattern.compile("^ +(org\\.dmera[\\w.$]*) +-> (org\\.dmera[\\w.$]*) .*$");

    /** One class uses another. */
    private record Use(String from, String to) {
        String fromPackage() {
            return packageOf(from);
        }

        String toPackage() {
            return packageOf(to);
        }

        /** {@code read.MetadataRoots -> content}, in the module whose packages begin with {@code base}. */
        String shortly(String base) {
            return within(base, from.replaceAll("\\$.*", "")) + " -> " + within(base, toPackage());
        }
    }

    private static String packageOf(String className) {
        return className.substring(0, className.lastIndexOf('.'));
    }

    /** The name without the module's own part; the module's first package is {@code .}. */
    private static String within(String base, String name) {
        return name.equals(base) ? "." : name.startsWith(base + ".") ? name.substring(base.length() + 1) : name;
    }

    /** What the classes of a module use of the project, other than of their own package. */
    private static Set<Use> uses(String module) {
        StringWriter out = new StringWriter();
        List<String> classPath = new ArrayList<>();
        for (String other : List.of("era-core", "era-tools", "era-dmsetup")) {
            classPath.add(
                    Fixtures.projectRoot().resolve(other + "/target/classes").toString());
        }
        PrintWriter writer = new PrintWriter(out);
        int code = ToolProvider.findFirst("jdeps")
                .orElseThrow()
                .run(
                        writer,
                        writer,
                        "--ignore-missing-deps",
                        "-verbose:class",
                        "-filter:none",
                        "-cp",
                        String.join(":", classPath),
                        Fixtures.projectRoot()
                                .resolve(module + "/target/classes/org")
                                .toString());
        assertEquals(0, code, out::toString);
        Set<Use> uses = out.toString()
                .lines()
                .map(USE::matcher)
                .filter(line -> line.matches())
                .map(line -> new Use(line.group(1), line.group(2)))
                .filter(use -> !use.fromPackage().equals(use.toPackage()))
                .collect(Collectors.toSet());
        assertTrue(uses.size() > 50, () -> "jdeps tells of hardly any use: " + out);
        return uses;
    }

    /**
     * Requires that within a module every use is of a lower floor, or is one of the exceptions, of which each must be needed.
     *
     * @param floors from the ground up, with the packages of each
     */
    private static void requireFloors(Set<Use> uses, String base, List<String> floors, Set<String> exceptions) {
        Map<String, Integer> floorOf = new java.util.HashMap<>();
        for (int i = 0; i < floors.size(); i++) {
            for (String name : floors.get(i).split(" ", -1)) {
                floorOf.put(name, i);
            }
        }
        Set<String> upward = new TreeSet<>();
        for (Use use : uses) {
            if (within(base, use.toPackage()).startsWith("org.")) {
                continue;
            }
            Integer from = floorOf.get(within(base, use.fromPackage()));
            Integer to = floorOf.get(within(base, use.toPackage()));
            assertTrue(from != null && to != null, () -> use + ": a package that is on no floor");
            if (to >= from) {
                upward.add(use.shortly(base));
            }
        }
        assertEquals(new TreeSet<>(exceptions), upward, base + ": uses of a package that is not below");
    }

    @Test
    void core() {
        requireFloors(
                uses("era-core"),
                "org.dmera.core",
                List.of(
                        "linux",
                        "file",
                        "block",
                        "format",
                        "read",
                        "persistent evidence",
                        "check",
                        "content",
                        "build cache metadata .",
                        "mend",
                        "salvage",
                        "repair"),
                Set.of());
    }

    /** The library beneath the tools knows no command line, no console and no progress bar; all the others are programs. */
    @Test
    void backupLibrary() {
        List<String> library =
                List.of("input backup.stream", "backup.copy", "backup.apply", "backup.image", "backup.revert");
        Set<String> inLibrary = Set.of(String.join(" ", library).split(" ", -1));
        Set<Use> uses = uses("era-tools");
        String base = "org.dmera.tools";
        Set<String> upward = uses.stream()
                .filter(use -> inLibrary.contains(within(base, use.fromPackage())))
                .filter(use -> use.toPackage().startsWith(base))
                .filter(use -> !inLibrary.contains(within(base, use.toPackage())))
                .map(use -> use.shortly(base))
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(Set.of(), upward, "uses of a program by the library");
        requireFloors(
                uses.stream()
                        .filter(use -> inLibrary.contains(within(base, use.fromPackage())))
                        .collect(Collectors.toSet()),
                base,
                library,
                Set.of());
    }

    /** Beneath each program are the parts that it is made of; the table of all programs is above them. */
    @Test
    void tools() {
        requireFloors(
                uses("era-tools"),
                "org.dmera.tools",
                List.of(
                        "cli input backup.stream",
                        "io backup.copy",
                        "json xml backup.apply",
                        "check generate backup.image",
                        "cache backup.revert",
                        "backup",
                        "stat",
                        "."),
                Set.of());
    }

    @Test
    void dmsetup() {
        requireFloors(
                uses("era-dmsetup"),
                "org.dmera.dmsetup",
                List.of(
                        "ioctl",
                        "targets",
                        "device activation",
                        "control export",
                        "engine rollback backup",
                        "serve cli",
                        "."),
                Set.of());
    }

    /** What hosts devices speaks to nobody: of the tools it may use the library. */
    @Test
    void engineUsesNoProgram() {
        Set<String> hosting = Set.of("ioctl", "targets", "device", "control", "export", "engine", "activation");
        Set<String> library =
                Set.of("input", "backup.stream", "backup.copy", "backup.apply", "backup.image", "backup.revert");
        Set<String> programs = uses("era-dmsetup").stream()
                .filter(use -> hosting.contains(within("org.dmera.dmsetup", use.fromPackage())))
                .filter(use -> use.toPackage().startsWith("org.dmera.tools"))
                .filter(use -> !library.contains(within("org.dmera.tools", use.toPackage())))
                .map(use -> use.shortly("org.dmera.dmsetup"))
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(Set.of(), programs);
    }
}
