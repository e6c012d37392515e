// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;

/**
 * One boot of one kernel, and the cases that go through it one after another. A case that fails doesn't hold up the next; one
 * that hangs in the kernel ends the run at its time limit, and the log says which it was.
 */
final class LabRun {
    private static final Duration LIMIT =
            Duration.ofSeconds(Long.getLong("era.kernel.limitSeconds", Lab.NIGHTLY ? 3600 : 1800));

    private final Kernel kernel;
    private final Path folder;
    private final List<LabCase> cases;

    LabRun(Kernel kernel, List<LabCase> cases) {
        this.kernel = kernel;
        this.folder = Lab.runs().resolve(kernel.folderName());
        this.cases = cases;
    }

    /** Prepares every case and runs their scripts in the guest. */
    void boot() throws IOException, InterruptedException {
        delete(folder);
        Path helpers = Files.createDirectories(folder.resolve("lab"));
        Files.copy(Lab.folder().resolve("guest/lib.sh"), helpers.resolve("lib.sh"));
        compile(Lab.folder().resolve("guest/blockio.c"), helpers.resolve("blockio"));
        ourPrograms(helpers.resolve("era-tools"));
        ourPrograms(helpers.resolve("era-dmsetup"));
        testProgram(helpers.resolve("guest-session"), GuestSession.class.getName());
        for (LabCase each : cases) {
            Path own = Files.createDirectories(folder.resolve(each.name()));
            each.prepare(own);
            Files.writeString(own.resolve("run.sh"), each.script());
        }
        Path main = folder.resolve("main.sh");
        Files.writeString(main, mainScript());

        List<String> command = new ArrayList<>();
        command.add(Lab.folder().resolve("vmrun").toString());
        command.addAll(kernel.options());
        command.addAll(List.of("-t", Long.toString(LIMIT.toSeconds()), "-m", "1536", "-s", folder.toString()));
        command.addAll(List.of("-l", folder.resolve("console").toString(), main.toString()));
        Path output = folder.resolve("output");
        int code = Lab.run(command, output, LIMIT.plusSeconds(120));
        if (code != 0) {
            throw new AssertionError("vmrun ended with " + code + ":\n" + Files.readString(output));
        }
    }

    /** The judgements of every case, each in a container of its own. */
    Stream<DynamicNode> checks(Class<? extends LabCase> kind) {
        return cases.stream().filter(kind::isInstance).map(each -> {
            Path own = folder.resolve(each.name());
            return DynamicContainer.dynamicContainer(
                    each.name(),
                    Stream.concat(
                            Stream.of(DynamicTest.dynamicTest("theScriptEndsWell", () -> requireGoodEnd(own))),
                            endedWell(own) ? each.checks(own, log(own)) : Stream.of()));
        });
    }

    private String mainScript() {
        StringBuilder script = new StringBuilder("export lab=$PWD/lab PATH=/usr/sbin:/sbin:/usr/bin:/bin\n");
        script.append("uname -r\n");
        for (LabCase each : cases) {
            script.append("""
                    echo "%1$s: begins at $(cut -d' ' -f1 /proc/uptime)"
                    code=0; (cd %1$s && exec sh -e ./run.sh > log 2>&1) || code=$?; echo $code > %1$s/code
                    """.formatted(each.name()));
        }
        return script.append("echo \"ends at $(cut -d' ' -f1 /proc/uptime)\"\n").toString();
    }

    /**
     * Calls the distribution's programs by their names: the guest sees them where the host has them, and their archive of
     * classes spares it most of a start.
     */
    private static void ourPrograms(Path program) throws IOException {
        writeProgram(
                program,
                "name=$1; shift; JAVA_HOME='" + System.getProperty("java.home") + "' exec '" + Distribution.BIN
                        + "'/$name \"$@\"\n");
    }

    private static void testProgram(Path program, String mainClass) throws IOException {
        String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path", ""));
        String java = Path.of(System.getProperty("java.home"), "bin/java").toString();
        writeProgram(
                program,
                "exec " + java + " -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '" + classPath + "' " + mainClass
                        + " \"$@\"\n");
    }

    private static void writeProgram(Path program, String commands) throws IOException {
        Files.writeString(program, "#!/bin/sh\n" + commands);
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private static void compile(Path source, Path program) throws IOException, InterruptedException {
        Path output = program.resolveSibling("gcc.output");
        List<String> command = List.of("gcc", "-O2", "-static", "-o", program.toString(), source.toString());
        if (Lab.run(command, output, Duration.ofSeconds(60)) != 0) {
            throw new AssertionError(source + " doesn't compile:\n" + Files.readString(output));
        }
    }

    private static boolean endedWell(Path own) {
        try {
            return Files.exists(own.resolve("code"))
                    && Files.readString(own.resolve("code")).strip().equals("0");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void requireGoodEnd(Path own) throws IOException {
        if (!endedWell(own)) {
            throw new AssertionError("the case's script failed in the guest (" + own + "):\n" + log(own));
        }
    }

    private static CaseLog log(Path own) {
        try {
            return new CaseLog(new String(Files.readAllBytes(own.resolve("log")), StandardCharsets.ISO_8859_1)
                    .lines()
                    .toList());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(each);
            }
        }
    }
}
