// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Names and paths that are no text in any charset at all, through every program, under the locales that cron, systemd and
 * people's shells give. The shell writes the names: it has no charset.
 */
class NamesAreBytesTest {
    private static final long LIMIT_SECONDS = 300;

    /** {@code expect CODE COMMAND…}, an engine, and a folder whose name is half UTF-8, half Latin-1. */
    private static final String PROLOGUE = """
            bin=$1/bin
            work=$2/B$(printf '\\303\\274')ro$(printf '\\374\\377')
            oe=$(printf '\\303\\266') ss=$(printf '\\303\\237') fffe=$(printf '\\377\\376') fdfd=$(printf '\\375\\375')
            mkdir "$work"
            cd "$work"
            control=$work/run/control
            expect() {
              expected=$1
              shift
              "$@" >out 2>err && code=0 || code=$?
              if [ $code -ne $expected ]; then echo "$*: exit code $code: $(cat out err)"; exit 1; fi
            }
            dm() { "$bin/era-dmsetup" --control "$control" --manglename none "$@"; }
            start() {
              "$bin/era-dmsetup" engine --control "$control" --state "$work/state" >log 2>&1 &
              engine=$!
              trap 'kill $engine 2>/dev/null; wait $engine' EXIT
              tries=0
              until [ -S "$control" ]; do
                tries=$((tries + 1))
                [ $tries -le 1200 ] || { echo "no engine: $(cat log)"; exit 1; }
                sleep 0.1
              done
            }
            same() { if [ "$1" != "$2" ]; then echo "expected: $1"; echo "but was: $2"; exit 1; fi; }
            """;

    /** Calls of the control interface, with names as they come. */
    private static final String FRAMES = """
            import os, socket, struct, sys
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(os.fsencode(sys.argv[1]))
            def received(n):
                data = b""
                while len(data) < n:
                    data += engine.recv(n - len(data))
                return data
            def call(command, name, result, more=b""):
                head = struct.pack("<3I3Ii3IQ", 4, 0, 0, 16384, 312, 0, 0, 0, 0, 0, 0) + name
                engine.sendall(struct.pack("<2I", 16388, command) + (head.ljust(312, b"\\0") + more).ljust(16384, b"\\0"))
                length, code = struct.unpack("<Ii", received(8))
                data = received(length - 4)
                assert code == result, (command, name, code)
                return data
            LIST, CREATE, REMOVE, RENAME, STATUS = 2, 3, 4, 5, 7
            call(REMOVE, b"\\xfd\\xfd", -6)
            call(RENAME, b"\\xfd\\xfd", -6, b"new\\0")
            assert call(STATUS, b"\\xff\\xfe", 0)[48:51] == b"\\xff\\xfe\\0"
            call(CREATE, b"\\xc3(", 0)
            call(CREATE, b"\\xc3(", -16)
            call(RENAME, b"\\xc3(", 0, b"\\xe9\\0")
            names = call(LIST, b"", 0)
            assert b"\\xe9\\0" in names and b"\\xff\\xfe\\0" in names and b"\\xc3(" not in names, names
            call(REMOVE, b"\\xc3(", -6)
            call(REMOVE, b"\\xef\\xbf\\xbd", -6)
            call(REMOVE, b"?", -6)
            call(REMOVE, b"\\xe9", 0)
            """;

    private static final String DEVICES = """
            truncate -s 4M m
            truncate -s 32M o
            start
            expect 0 dm create "$oe" --table "0 65536 era m $work/o 128"
            expect 1 dm remove "$ss"
            expect 0 dm create "$fffe" -n
            expect 1 dm remove "$fdfd"
            expect 1 dm info "$fdfd"
            expect 0 /usr/bin/python3 -c "$frames" run/control
            same "$oe:0
            $fffe:0" "$(dm info -c -o name,open --noheadings)"
            same "$(printf '"name":"%s"\\n"name":"\\\\udcff\\\\udcfe"' "$oe")" "$(dm ls --json | grep -a -o '"name":"[^"]*"')"
            kill $engine
            wait $engine || true
            start
            # Waits for it on a machine that is too busy to bring it back at once.
            expect 0 dm uri "$oe"
            same "0 65536 era $work/m $work/o 128" "$(dm table "$oe")"
            expect 0 dm rename "$fffe" "$fdfd"
            same "$oe
            $fdfd" "$(dm info -c -o name --noheadings)"
            printf '#!/bin/sh\\nprintf %%s "$LC_ALL$LOCPATH" >>locale' >print-locale
            chmod 755 print-locale
            expect 0 dm ls --target era --exec ./print-locale
            same "${LC_ALL-}${LOCPATH-}" "$(cat locale)"
            expect 0 "$bin/era_backup" --control "$control" "$oe" --to "$work/backup$ss"
            test -e "backup$ss/$oe.000001.full.erastream" || { echo "no stream: $(ls backup*)"; exit 1; }
            truncate -s 4M m2
            expect 0 "$bin/era-dmsetup" --control "$control" create 'sp ace' --table "0 65536 era m2 $work/o 128"
            expect 0 "$bin/era_backup" --control "$control" 'sp ace' --to "$work/backup"
            expect 1 dm table "$ss"
            grep -qF "on $ss " err || { echo "which device: $(cat err)"; exit 1; }
            """;

    private static final String TOOLS = """
            printf '<superblock uuid="" block_size="128" nr_blocks="8" current_era="3"><era_array>' >"$oe.xml"
            for block in 0 1 2 3 4 5 6 7; do printf '<era block="%d" era="1"/>' $block >>"$oe.xml"; done
            printf '</era_array></superblock>' >>"$oe.xml"
            truncate -s 1M m r
            truncate -s 512K o
            expect 0 "$bin/era_restore" -i "$oe.xml" -o "$work/m"
            expect 0 "$bin/era_check" "$work/m"
            expect 0 "$bin/era_dump" "$work/m" -o "$work/dump$fffe.xml"
            test -s "dump$fffe.xml"
            expect 0 "$bin/era_invalidate" --written-since 1 "$work/m" -o "$work/blocks$fffe"
            expect 0 "$bin/era_repair" -i "$work/m" -o "$work/r"
            expect 0 "$bin/era_stat" "$work/m"
            grep -qF "$work/m" out || { echo "which device: $(cat out)"; exit 1; }
            expect 0 "$bin/era_stat" --format json "$work/m"
            expect 0 "$bin/era_plot" "$work/m" -o "$work/p$fffe.svg"
            expect 0 "$bin/era_copy" --full -m "$work/m" "$work/o" -o "$work/s$oe"
            expect 0 "$bin/era_apply" "$work/s$oe" -o "$work/t$ss"
            cmp o "t$ss"
            mv "s$oe" "s$oe$fffe"
            : >served
            "$bin/era_serve" -s "$work/n$fffe" "$work/s$oe$fffe" >served 2>&1 &
            server=$!
            trap 'kill $server 2>/dev/null; wait $server' EXIT
            tries=0
            until grep -qa 'the last is' served; do
              tries=$((tries + 1))
              [ $tries -le 1200 ] && kill -0 $server || { echo "nothing is served: $(cat served)"; exit 1; }
              sleep 0.1
            done
            uri=$(grep -ao 'nbd+unix:[^ ]*[^: ]' served | head -n 1)
            expect 0 nbdinfo --size "$uri"
            same 524288 "$(cat out)"
            expect 0 nbdcopy "$uri" back
            cmp o back
            kill $server
            wait $server || { echo "era_serve: $(cat served)"; exit 1; }
            trap - EXIT
            expect 1 "$bin/era_check" "$work/missing$ss"
            same "era_check: Couldn't find input file $work/missing$ss" "$(cat err)"
            """;

    @TempDir
    Path folder;

    @TestFactory
    Stream<DynamicTest> devicesAreToldApartByTheirBytes() throws IOException {
        return everywhere("devices", DEVICES);
    }

    @TestFactory
    Stream<DynamicTest> toolsTakeEveryPath() throws IOException {
        return everywhere("tools", TOOLS);
    }

    @Test
    void theDistributionRunsInAnyFolder() throws Exception {
        String copy =
                "dist=$2/d$(printf '\\303\\274\\377')' x'; mkdir \"$dist\"; cp -r \"$1\"/* \"$dist\"; set -- \"$dist\" \"$2\"\n";
        run(copy + PROLOGUE + TOOLS + DEVICES, Map.of("JAVA_HOME", System.getProperty("java.home")));
    }

    @Test
    void withoutTheLocaleNamesOutsideAsciiAreRefusedInALine() throws Exception {
        String copy = "mkdir $2/bare; cp -r \"$1\"/* $2/bare; rm -r $2/bare/lib/locale; set -- $2/bare $2\n";
        String refused = """
                expect 1 "$bin/era_check" "/missing$oe"
                same 1 "$(wc -l <err)"
                grep -q 'outside ASCII' err || { cat err; exit 1; }
                expect 1 "$bin/era-dmsetup" --control "$2/none" remove "$oe"
                same 1 "$(wc -l <err)"
                grep -q 'outside ASCII' err || { cat err; exit 1; }
                """;
        run(copy + PROLOGUE + refused, Map.of("JAVA_HOME", System.getProperty("java.home")));
    }

    /** The script in each locale, on each JVM. */
    private Stream<DynamicTest> everywhere(String what, String script) throws IOException {
        Map<String, Map<String, String>> locales = new TreeMap<>();
        locales.put("no locale", Map.of());
        locales.put("C.UTF-8", Map.of("LC_ALL", "C.UTF-8"));
        locales.put(
                "ISO-8859-1",
                Map.of(
                        "LC_ALL",
                        "C.ISO-8859-1",
                        "LOCPATH",
                        Distribution.FOLDER.resolve("lib/locale").toString()));
        List<DynamicTest> tests = new ArrayList<>();
        for (Path jvm : jvms()) {
            locales.forEach((name, locale) ->
                    tests.add(DynamicTest.dynamicTest(what + ", " + name + ", " + jvm.getFileName(), () -> {
                        Map<String, String> environment = new TreeMap<>(locale);
                        environment.put("JAVA_HOME", jvm.toString());
                        run(PROLOGUE + script, environment);
                    })));
        }
        return tests.stream();
    }

    /** This JVM and the others of the machine that are new enough, each version once. */
    private static List<Path> jvms() throws IOException {
        Map<Integer, Path> byVersion = new TreeMap<>();
        Path folder = Path.of("/usr/lib/jvm");
        if (Files.isDirectory(folder)) {
            try (Stream<Path> found = Files.list(folder)) {
                for (Path jvm : found.filter(p -> Files.isExecutable(p.resolve("bin/java")))
                        .toList()) {
                    Path release = jvm.resolve("release");
                    String text = Files.exists(release) ? Files.readString(release) : "";
                    java.util.regex.Matcher version = java.util.regex.Pattern.compile("JAVA_VERSION=\"(\\d+)")
                            .matcher(text);
                    if (version.find() && Integer.parseInt(version.group(1)) >= 17) {
                        byVersion.put(Integer.parseInt(version.group(1)), jvm);
                    }
                }
            }
        }
        byVersion.put(Runtime.version().feature(), Path.of(System.getProperty("java.home")));
        return new ArrayList<>(byVersion.values());
    }

    private void run(String script, Map<String, String> environment) throws IOException, InterruptedException {
        Path work = Files.createTempDirectory(folder, "run");
        Path output = work.resolve("output");
        ProcessBuilder builder = new ProcessBuilder(
                        "/bin/sh", "-eu", "-c", script, "sh", Distribution.FOLDER.toString(), work.toString())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().clear();
        builder.environment().put("PATH", "/usr/bin:/bin");
        builder.environment().put("frames", FRAMES);
        builder.environment().putAll(environment);
        Process process = builder.start();
        assertTrue(process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS), "the script does not end");
        String text = Files.readString(output, StandardCharsets.ISO_8859_1);
        // Java's own clean-up does not know how to delete what it can't name.
        new ProcessBuilder("/bin/rm", "-rf", work.toString()).start().waitFor();
        assertEquals(0, process.exitValue(), text);
    }
}
