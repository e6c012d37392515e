// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.packages;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the Debian packages hold, as dpkg-deb builds them; nightly also what dpkg does with them in a fresh Debian. */
@Alone
class DebianPackagesTest {
    private static final Path ROOT = Fixtures.projectRoot();
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final Set<String> PEERS = Set.of("era_check", "era_dump", "era_invalidate", "era_restore");

    @TempDir
    static Path folder;

    @BeforeAll
    static void build() throws Exception {
        assertTrue(Files.isExecutable(ROOT.resolve("dist/bin/era-tools")), "mvn package makes the distribution");
        Path copy = folder.resolve("built-for-one-user");
        said(List.of(
                "sh",
                "-c",
                "umask 077 && mkdir \"$1\" && cd \"$0\" && cp -r pom.xml dist docs packaging ./*.md \"$1\"",
                ROOT.toString(),
                copy.toString()));
        String build = copy.resolve("packaging/build-deb").toString();
        // Compression is most of the time that it takes.
        said(NIGHTLY ? List.of(build, folder.toString()) : List.of(build, "--fast", folder.toString()));
    }

    private static String said(List<String> command) throws Exception {
        Path out = Files.createTempFile(folder, "said", "");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(out.toFile())
                .start();
        int code = process.waitFor();
        String said = Files.readString(out);
        assertEquals(0, code, () -> command + ": " + said);
        return said;
    }

    private static Path deb(String name) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().matches(name + "_.*\\.deb"))
                    .findFirst()
                    .orElseThrow();
        }
    }

    /** What the package installs that is not a folder, each as {@code /usr/…}, with where a link leads after an arrow. */
    private static Set<String> contents(String name) throws Exception {
        return said(List.of("dpkg-deb", "-c", deb(name).toString()))
                .lines()
                .filter(line -> !line.startsWith("d"))
                .map(line -> line.replaceFirst("^(\\S+\\s+){5}\\.", ""))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /** Whatever the umask was under which they were built. */
    @Test
    void everybodyCanReadWhatIsInstalled() throws Exception {
        for (String name : List.of("dm-era", "dm-era-plot", "dm-era-default")) {
            assertEquals(
                    List.of(),
                    said(List.of("dpkg-deb", "-c", deb(name).toString()))
                            .lines()
                            .filter(line -> !line.matches("(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|l).*"))
                            .toList());
        }
    }

    private static List<String> names(String part) throws IOException {
        try (Stream<Path> files = Files.list(ROOT.resolve("dist").resolve(part))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void everyCommandIsInThePathButThoseThatThePeerHas() throws Exception {
        Set<String> all = new TreeSet<>(contents("dm-era"));
        all.addAll(contents("dm-era-plot"));
        for (String command : names("bin")) {
            assertTrue(all.contains("/usr/lib/dm-era/bin/" + command), command);
            assertEquals(
                    !PEERS.contains(command),
                    all.contains("/usr/sbin/" + command + " -> ../lib/dm-era/bin/" + command),
                    command);
        }
        Set<String> replaced = contents("dm-era-default");
        for (String peer : PEERS) {
            assertTrue(replaced.contains("/usr/sbin/" + peer + " -> ../lib/dm-era/bin/" + peer), peer);
        }
    }

    /** Shells look for a file by the command's name; zsh reads those names in the first line of any file of a folder. */
    @Test
    void everyCommandIsCompletedInThreeShells() throws Exception {
        Set<String> all = contents("dm-era").stream()
                .map(file -> file.replaceFirst(" -> .*", ""))
                .collect(Collectors.toSet());
        String first = said(List.of(
                        "sh",
                        "-c",
                        "dpkg-deb --fsys-tarfile \"$0\" | tar -xO ./usr/share/zsh/vendor-completions/_dm-era | head -n 1",
                        deb("dm-era").toString()))
                .strip();
        for (String command : names("bin")) {
            assertTrue(all.contains("/usr/share/bash-completion/completions/" + command), command);
            assertTrue(all.contains("/usr/share/fish/vendor_completions.d/" + command + ".fish"), command);
            assertTrue(List.of(first.split(" ")).contains(command), command + " in " + first);
        }
    }

    @Test
    void everyManPageIsThereOnce() throws Exception {
        List<String> pages = new ArrayList<>();
        for (String name : List.of("dm-era", "dm-era-plot")) {
            contents(name).stream()
                    .filter(file -> file.matches("/usr/(share|lib/dm-era)/man/man[0-9]/.*\\.gz"))
                    .map(file -> file.replaceFirst(".*/", "").replace(".gz", ""))
                    .forEach(pages::add);
        }
        assertEquals(names("man"), pages.stream().sorted().toList());
    }

    @Test
    void noFileIsThePeersToo() throws Exception {
        Path list = Path.of("/var/lib/dpkg/info/thin-provisioning-tools.list");
        assumeTrue(Files.exists(list), "thin-provisioning-tools is not installed (setup/packages.txt)");
        Set<String> theirs = new TreeSet<>(Files.readAllLines(list));
        for (String name : List.of("dm-era", "dm-era-plot")) {
            for (String file : contents(name)) {
                assertFalse(theirs.contains(file.replaceFirst(" -> .*", "")), file);
            }
        }
    }

    /** Whatever a package's unit runs is named with its folder, and is there. */
    @Test
    void theUnitsNameInstalledCommands() throws Exception {
        Path tree = folder.resolve("tree");
        said(List.of("dpkg-deb", "-x", deb("dm-era").toString(), tree.toString()));
        Set<String> installed = contents("dm-era");
        int commands = 0;
        try (Stream<Path> units = Files.list(tree.resolve("usr/lib/systemd/system"))) {
            for (Path unit : units.toList()) {
                for (String line : Files.readAllLines(unit)) {
                    if (line.matches("Exec\\w*=.*era.*")) {
                        String command = line.replaceFirst("Exec\\w*=[-+!]*(\\S+).*", "$1");
                        assertTrue(
                                installed.stream().anyMatch(file -> file.startsWith(command + " -> ")),
                                unit + ": " + command);
                        commands++;
                    }
                }
            }
        }
        assertTrue(commands >= 2, "units with commands: " + commands);
    }

    @Test
    void theChecksumsAreThoseOfWhatIsThere() throws Exception {
        assertEquals(
                4,
                said(List.of("sh", "-c", "cd \"$0\" && sha256sum -c SHA256SUMS", folder.toString()))
                        .lines()
                        .filter(line -> line.endsWith(": OK"))
                        .count());
    }

    @Test
    void theTarballHoldsTheDistribution() throws Exception {
        String tarball = Files.readAllLines(folder.resolve("SHA256SUMS")).stream()
                .map(line -> line.replaceFirst(".* ", ""))
                .filter(file -> file.endsWith(".tar.gz"))
                .findFirst()
                .orElseThrow();
        Set<String> held = said(List.of("tar", "-tzf", folder.resolve(tarball).toString()))
                .lines()
                .map(line -> line.replaceFirst("^[^/]*/", ""))
                .collect(Collectors.toSet());
        for (String command : names("bin")) {
            assertTrue(held.contains("bin/" + command), command);
        }
        assertTrue(held.containsAll(List.of("LICENSE", "THIRD-PARTY.md", "lib/era.jar", "lib/make-archive")));
    }

    @Test
    void everyLibraryIsNamedInTheThirdPartyNotices() throws Exception {
        String notices = Files.readString(ROOT.resolve("THIRD-PARTY.md"));
        Set<String> named = Stream.of(notices.split("[\\s,|]+", -1)).collect(Collectors.toSet());
        for (String jar : names("lib")) {
            if (jar.endsWith(".jar") && !jar.equals("era.jar")) {
                String library = jar.replaceFirst("-[0-9][0-9.-]*(-native)?\\.jar$", "");
                assertTrue(named.contains(library), library + " is not in THIRD-PARTY.md");
            }
        }
    }

    @Test
    void lintianFindsNothing() throws Exception {
        Path lintian = Path.of("/usr/bin/lintian");
        assumeTrue(NIGHTLY, "reads every class of every jar, which takes a while: nightly");
        assertTrue(Files.isExecutable(lintian), "the nightly tests need Debian's lintian");
        List<String> command = new ArrayList<>(List.of(lintian.toString(), "--allow-root", "--fail-on", "warning"));
        for (String name : List.of("dm-era", "dm-era-plot", "dm-era-default")) {
            command.add(deb(name).toString());
        }
        assertEquals("", said(command));
    }

    /** Install, upgrade, remove and purge, in a fresh root: the script says each thing that it has seen. */
    @ParameterizedTest
    @ValueSource(strings = {"bookworm", "trixie"})
    void theyComeAndGoWithoutATrace(String release) throws Exception {
        assumeTrue(NIGHTLY, "takes more than a minute: nightly");
        assertTrue(Files.isExecutable(Path.of("/usr/bin/mmdebstrap")), "the nightly tests need Debian's mmdebstrap");
        String script = ROOT.resolve("tests/packages/life-of-the-packages").toString();
        String said = said(List.of(script, folder.toString(), release));
        assertTrue(said.contains("purging leaves nothing"), said);
    }
}
