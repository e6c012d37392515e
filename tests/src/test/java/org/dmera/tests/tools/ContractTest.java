// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Messages, exit codes and refusals, by running the launchers. */
@Alone
class ContractTest {
    private static final String TOO_SMALL = "Metadata device/file too small.  Is this binary metadata?";
    private static final String XML = "This looks like XML.  This tool only supports the binary metadata format.";

    @TempDir
    private static Path folder;

    private static Path metadata;
    private static Path xml;

    @BeforeAll
    static void prepare() throws IOException {
        Ran.needLaunchers();
        metadata = Files.write(folder.resolve("metadata"), Fixtures.imageBytes(Fixtures.image("e_crash_bs8.crash")));
        xml = Files.write(folder.resolve("dump.xml"), Fixtures.xmlBytes(Fixtures.image("e_crash_bs8.crash")));
    }

    private static Path zeroes(String name, int bytes) throws IOException {
        return Files.write(folder.resolve(name), new byte[bytes]);
    }

    /** The tools that read metadata, with all that they must be given but the device. */
    private static List<List<Object>> readers() {
        return List.of(
                List.of("era_check"),
                List.of("era_dump"),
                List.of("era_invalidate", "--written-since", 1),
                List.of("era_repair", "-o", folder.resolve("unused"), "-i"));
    }

    private static Ran read(List<Object> reader, Object device) throws IOException, InterruptedException {
        List<Object> args = new ArrayList<>(reader.subList(1, reader.size()));
        args.add(device);
        return Ran.tool(reader.get(0).toString(), args.toArray());
    }

    @Test
    void whatCantBeMetadataIsRefused() throws IOException, InterruptedException {
        Path tiny = zeroes("tiny", 1000);
        Path zeroed = zeroes("zeroed", 1 << 20);
        Path tinyXml = Files.writeString(folder.resolve("tiny.xml"), "<?xml version=\"1.0\"?><superblock/>");
        zeroes("unused", 1 << 20);
        for (List<Object> reader : readers()) {
            read(reader, folder.resolve("nothing")).refused("Couldn't find input file");
            read(reader, folder).refused("Not a block device or regular file");
            read(reader, "/dev/null").refused("Not a block device or regular file");
            read(reader, tiny).refused(TOO_SMALL);
            read(reader, xml).refused(XML);
            read(reader, tinyXml).refused(XML);
        }
        for (List<Object> reader : readers().subList(1, 3)) {
            read(reader, zeroed).refused("bad checksum in superblock");
        }
        Ran check = Ran.tool("era_check", zeroed);
        assertEquals(1, check.code());
        assertTrue((check.out() + check.err()).contains("bad checksum in superblock"), check.toString());
    }

    @Test
    void aSnapshotThatIsNotHeldIsRefused() throws IOException, InterruptedException {
        Ran.tool("era_dump", "--metadata-snapshot", metadata).refused("no current metadata snap");
        Ran.tool("era_invalidate", "--metadata-snapshot", "--written-since", 1, metadata)
                .refused("no current metadata snap");
    }

    @Test
    void aWrongCommandLineIsWordedAsTheRustToolsDo() throws IOException, InterruptedException {
        for (String tool : new String[] {"era_check", "era_dump", "era_invalidate", "era_restore", "era_repair"}) {
            Ran.tool(tool, "--no-such-option").misused("unexpected argument '--no-such-option' found");
        }
        Ran.tool("era_check").misused("the following required arguments were not provided:\n  <INPUT>\n");
        Ran.tool("era_dump").misused("the following required arguments were not provided:\n  <INPUT>\n");
        Ran.tool("era_invalidate")
                .misused("the following required arguments were not provided:\n  --written-since <ERA>\n  <INPUT>\n");
        for (String tool : new String[] {"era_restore", "era_repair"}) {
            Ran.tool(tool).misused("""
                            the following required arguments were not provided:
                              --input <FILE>
                              --output <FILE>
                            """);
        }
        Ran.tool("era_restore", "-i", xml).misused("were not provided:\n  --output <FILE>\n");
        Ran.tool("era_dump", metadata, "more").misused("unexpected argument 'more' found");
        Ran.tool("era_invalidate", "--written-since", "soon", metadata)
                .misused("invalid value 'soon' for '--written-since <ERA>': invalid digit found in string");
        Ran.tool("era_dump", "--format", "yaml", metadata).misused("[possible values: xml, json]");
    }

    @Test
    void restoreRefusesWhatItCantReadOrWrite() throws IOException, InterruptedException {
        Path output = zeroes("output", 4 << 20);
        Ran.tool("era_restore", "-i", folder.resolve("nothing"), "-o", output).refused("Couldn't find input file");
        Ran.tool("era_restore", "-i", folder, "-o", output).refused("Not a block device or regular file");
        Ran.tool("era_restore", "-i", xml, "-o", folder.resolve("nothing")).refused("Couldn't find output file");
        Ran.tool("era_restore", "-i", xml, "-o", folder).refused("Not a block device or regular file");
        Ran.tool("era_restore", "-i", xml, "-o", xml).refused("The output is the input");
        Ran.tool("era_restore", "-i", xml, "-o", zeroes("small", 40_000)).refused("Output file too small");
        Ran.tool("era_restore", "-i", xml, "-o", zeroes("empty", 0)).refused("Output file too small");
        Ran.tool("era_restore", "-i", metadata, "-o", output).refused("XML line 1: ");
        Ran.tool("era_restore", "-i", "/dev/null", "-o", output).refused("XML line ");
        assertArrayEquals(new byte[4 << 20], Files.readAllBytes(output));
    }

    @Test
    void quietIsSilentWhateverHappens() throws IOException, InterruptedException {
        Ran.tool("era_check", "-q", folder.resolve("nothing")).silentFailure();
        Ran.tool("era_check", "--quiet", zeroes("zeroed", 1 << 20)).silentFailure();
        Ran.tool("era_check", "-q", "--no-such-option").silentFailure();
        Ran.tool("era_restore", "-q").silentFailure();
        Ran.tool("era_restore", "-q", "-i", metadata, "-o", zeroes("output", 4 << 20))
                .silentFailure();
        Ran.tool("era_repair", "-q", "-i", xml, "-o", folder.resolve("nothing")).silentFailure();
        Ran good = Ran.tool("era_check", "-q", metadata).good();
        assertEquals("", good.out());
    }

    @Test
    void aReaderThatGoesAwayEndsTheToolWithoutAWord() throws IOException, InterruptedException {
        Path large = folder.resolve("large");
        Ran.tool("era-tools", "generate", "--nr-blocks", 2_000_000, "--writesets", 4, "-o", large)
                .good();
        for (String command : new String[] {
            "era_dump " + large,
            "era_dump --compact " + large,
            "era_dump --format json " + large,
            "era_invalidate --written-since 1 " + large,
            "era_invalidate --written-since 1 --format ranges " + large
        }) {
            Path fifo = folder.resolve("fifo");
            for (String line : new String[] {
                command + " | head -c 20 >/dev/null; exit ${PIPESTATUS[0]}",
                command + " -o /dev/stdout | head -c 20 >/dev/null; exit ${PIPESTATUS[0]}",
                command + " -o /dev/stdout > >(head -c 20 >/dev/null)",
                "mkfifo " + fifo + "; head -c 20 " + fifo + " >/dev/null & " + command + " -o " + fifo
                        + "; code=$?; rm " + fifo + "; exit $code"
            }) {
                Ran ran = Ran.shell(line);
                assertNotEquals(0, ran.code(), line);
                assertEquals("", ran.err(), line);
            }
        }
        Files.delete(large);
    }

    @Test
    void aDescriptorThatIsClosedIsDevNull() throws IOException, InterruptedException {
        Ran.shell("era_restore -i - -o " + zeroes("output", 4 << 20) + " <&-").refused("");
        Ran.shell("era_check " + metadata + " <&-").good();
        assertEquals(0, Ran.shell("era_dump " + metadata + " >&-").code());
        Ran missing = Ran.shell("era_check /no/such/device 2>&-");
        assertEquals("", missing.out() + missing.err());
        assertEquals(1, missing.code());
        assertEquals(
                0,
                Ran.shell("era_dump -o " + folder.resolve("dump") + " " + metadata + " <&- >&- 2>&-")
                        .code());
        assertEquals(Files.readString(xml), Files.readString(folder.resolve("dump")));
    }

    @Test
    void whatJavaItselfSaysIsNotAmongTheData() throws IOException, InterruptedException {
        Ran noMemory = Ran.shell("ulimit -v 400000; era_dump " + metadata);
        assertEquals(1, noMemory.code());
        assertEquals("", noMemory.out());
        assertNotEquals("", noMemory.err());
        // What its threads do, for SIGQUIT, which a terminal sends.
        Ran threads = Ran.shell("cd " + folder + "; mkfifo xml-pipe; era_restore -i xml-pipe -o "
                + zeroes("asked", 4 << 20) + " >said 2>complained & exec 3>xml-pipe; kill -QUIT $!;"
                + " until [ -s said ] || [ -s complained ]; do sleep 0.05; done; exec 3>&-; wait $!; cat said");
        assertEquals("", threads.out());
    }

    @Test
    void eraToolsByAnotherNameIsThatTool() throws IOException, InterruptedException {
        Path link = Files.createSymbolicLink(folder.resolve("era_dump"), Distribution.BIN.resolve("era-tools"));
        assertEquals(
                Files.readString(xml),
                Ran.of(java.util.List.of(link.toString(), metadata.toString()), java.util.Map.of())
                        .good()
                        .out());
        Path all = Files.createSymbolicLink(folder.resolve("pdata_tools"), Distribution.BIN.resolve("era-tools"));
        Ran.of(java.util.List.of(all.toString(), "era_check", metadata.toString()), java.util.Map.of())
                .good();
    }

    @Test
    void eraToolsWithoutACommandListsThemAndAnUnknownOneFails() throws IOException, InterruptedException {
        Ran none = Ran.tool("era-tools").misused("<COMMAND>");
        assertTrue(none.err().contains("\n  era_invalidate  "), none.toString());
        Ran.tool("era-tools", "era_chek", "--help").refused("did you mean era_check?");
        Ran.tool("era-tools", "frobnicate", "--version").refused("unrecognized command 'frobnicate'");
    }

    /** A limit on the size of files stands in for a full disk, whose end a file meets as well. */
    @Test
    void aProductForWhichThereIsNoRoomIsNamed() throws IOException, InterruptedException {
        Path product = folder.resolve("product");
        Path eras = folder.resolve("eras");
        Ran.tool("era-tools", "generate", "--nr-blocks", 1000, "-q", "-o", eras).good();
        Path origin = folder.resolve("origin");
        Ran.shell("head -c 100000 /dev/urandom >" + origin + "; truncate -s " + 1000 * 65_536 + " " + origin)
                .good();
        Path xml = folder.resolve("xml");
        Ran.tool("era_dump", "-o", xml, eras).good();
        Path stream = folder.resolve("stream");
        Ran.tool("era_copy", "-q", "--full", "-m", eras, origin, "-o", stream).good();
        for (String line : List.of(
                "era_dump -o PRODUCT " + eras,
                "era_dump --compact -o PRODUCT " + eras,
                "era_restore -i " + xml + " -o PRODUCT",
                "era_repair -i " + eras + " -o PRODUCT",
                "era_copy --full -m " + eras + " " + origin + " -o PRODUCT",
                "era_apply " + stream + " -o PRODUCT",
                "era-tools generate --nr-blocks 1000 -o PRODUCT",
                "era_plot -o PRODUCT.svg " + eras,
                "era_plot -o PRODUCT.png " + eras)) {
            Files.deleteIfExists(product);
            if (line.startsWith("era_re")) {
                try (java.io.RandomAccessFile file = new java.io.RandomAccessFile(product.toFile(), "rw")) {
                    file.setLength(1 << 20);
                }
            }
            Ran ran = Ran.shell("ulimit -f 4; " + line.replace("PRODUCT", product.toString()));
            assertEquals(1, ran.code(), ran.toString());
            assertTrue(
                    ran.err().contains(product.toString()) && ran.err().endsWith("File too large\n"), ran.toString());
        }
    }

    @Test
    void aFullDiskIsSaidInOneLine() throws IOException, InterruptedException {
        Ran.tool("era_dump", "-o", "/dev/full", metadata).refused("/dev/full: No space left on device");
        Ran.tool("era_invalidate", "--written-since", 0, "-o", "/dev/full", metadata)
                .refused("/dev/full: No space left on device");
        Ran.shell("era_dump " + metadata + " >/dev/full").refused("standard output: No space left on device");
        Ran.shell("era-dmsetup splitname vg-lv >/dev/full").refused("standard output: No space left on device");
        Ran.tool("era_dump", "-o", folder.resolve("no/such/folder"), metadata).refused("No such file or directory");
        Ran.tool("era_dump", "-o", metadata, metadata).refused("The output is the input");
    }

    @Test
    void aListThatDoesNotFitTheDiskIsNotThere() throws IOException, InterruptedException {
        Path large = folder.resolve("large");
        Ran.tool("era-tools", "generate", "--nr-blocks", 200_000, "--writesets", 4, "-q", "-o", large)
                .good();
        Path list = folder.resolve("list");
        String command = "ulimit -f 16; era_invalidate --written-since 1 -o " + list + " " + large;
        Ran.shell(command).refused("File too large");
        assertTrue(Files.notExists(list));
        Files.writeString(list, "the last good list");
        Ran.shell(command).refused("File too large");
        assertEquals("the last good list", Files.readString(list));
        assertEquals(
                "",
                Ran.shell("ls -A " + folder + " | grep partial || true").good().out());
    }

    @Test
    void standardOutputByItsPathAndAFileInAFolderThatTakesNoOtherAreWritten() throws IOException, InterruptedException {
        assumeTrue("root".equals(System.getProperty("user.name")), "needs root, to run a tool as somebody else");
        assumeTrue(
                Ran.shell("setpriv --reuid 65534 --clear-groups test -r " + Distribution.BIN.resolve("../lib/era.jar"))
                                .code()
                        == 0,
                "nobody can't read " + Distribution.BIN);
        String expected = Files.readString(xml);
        for (String path : new String[] {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}) {
            Path product = folder.resolve("product");
            Ran.shell("(era_dump -o " + path + " " + metadata + "; echo more >&2) >" + product + " 2>&1");
            assertTrue(Files.readString(product).startsWith(expected.substring(10, 100), 10), path);
        }
        Path closed = Files.createDirectory(folder.resolve("closed"));
        Path file = Files.writeString(closed.resolve("file"), "old");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-rw-"));
        Path input = Files.copy(metadata, closed.resolve("input"));
        Files.setPosixFilePermissions(input, PosixFilePermissions.fromString("rw-r--r--"));
        Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("r-xr-xr-x"));
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
        Ran.shell("setpriv --reuid 65534 --clear-groups era_dump -o " + file + " " + input)
                .good();
        assertEquals(expected, Files.readString(file));
        Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    @Test
    void aFailureShowsNoTraceUnlessAskedTo() throws IOException, InterruptedException {
        List<String> command = List.of(
                Distribution.program("era_dump"), folder.resolve("nothing").toString());
        assertEquals(-1, Ran.of(command, Map.of()).err().indexOf("\tat "));
        assertTrue(Ran.of(command, Map.of("ERA_DEBUG", "1")).err().contains("\tat org.dmera"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"era-tools", "era_check", "era_dump", "era_restore", "era_invalidate", "era_repair"})
    void helpAndVersionAreAnsweredOnStandardOutput(String tool) throws IOException, InterruptedException {
        Ran help = Ran.tool(tool, "--help").good();
        assertTrue(help.out().contains("Usage: " + tool), help.out());
        assertTrue(help.out().contains("-V, --version"), help.out());
        assertEquals(help.out(), Ran.tool(tool, "-h").good().out());
        String version = Ran.tool(tool, "--version").good().out();
        assertTrue(version.matches("\\d+\\.\\d+.*\n"), version);
        assertEquals(version, Ran.tool(tool, "-V").good().out());
    }

    @Test
    void eraToolsRunsEveryCommandByItsNameLongOrShort() throws IOException, InterruptedException {
        String expected = Files.readString(xml);
        assertEquals(
                expected, Ran.tool("era-tools", "era_dump", metadata).good().out());
        assertEquals(expected, Ran.tool("era-tools", "dump", metadata).good().out());
        Ran.tool("era-tools", "frobnicate").refused("unrecognized command 'frobnicate'");
        Ran.tool("era-tools").misused("<COMMAND>");
    }

    @Test
    void theLaunchersWorkThroughLinksAndFromAnywhere() throws IOException, InterruptedException {
        Path link = Files.createSymbolicLink(folder.resolve("a link"), Distribution.BIN.resolve("era_dump"));
        Path second = Files.createSymbolicLink(folder.resolve("linked"), Path.of("a link"));
        String expected = Files.readString(xml);
        for (Path path : new Path[] {link, second}) {
            Ran ran = Ran.of(List.of(path.toString(), metadata.toString()), Map.of());
            assertEquals(expected, ran.good().out());
        }
        assertEquals(expected, Ran.shell("cd / && era_dump " + metadata).good().out());
        Ran.of(
                        List.of(Distribution.program("era_dump"), metadata.toString()),
                        Map.of("JAVA_HOME", System.getProperty("java.home")))
                .good();
        Ran noJava =
                Ran.of(List.of(Distribution.program("era_dump"), metadata.toString()), Map.of("JAVA_HOME", "/nowhere"));
        assertEquals(1, noJava.code());
        assertTrue(noJava.err().contains("no Java found"), noJava.err());
    }

    @Test
    void readOnlyFilesAreReadAndUnreadableOnesRefused() throws IOException, InterruptedException {
        assumeTrue("root".equals(System.getProperty("user.name")), "needs root, to run a tool as somebody else");
        String nobody = "setpriv --reuid 65534 --clear-groups ";
        assumeTrue(
                Ran.shell(nobody + "test -r " + Distribution.BIN.resolve("../lib/era.jar"))
                                .code()
                        == 0,
                "nobody can't read " + Distribution.BIN);
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path readable = Files.copy(metadata, folder.resolve("readable"));
        Files.setPosixFilePermissions(readable, PosixFilePermissions.fromString("r--r--r--"));
        assertEquals(
                Files.readString(xml),
                Ran.shell(nobody + "era_dump " + readable).good().out());
        assertEquals(0, Ran.shell(nobody + "era_check " + readable).code());
        Ran.shell(nobody + "era_restore -i " + xml + " -o " + readable).refused("Permission denied");
        Files.setPosixFilePermissions(readable, PosixFilePermissions.fromString("rw-------"));
        Ran.shell(nobody + "era_dump " + readable).refused("Permission denied");
        Ran.shell(nobody + "era_restore -i " + readable + " -o " + xml).refused("Permission denied: " + readable);
    }

    @Test
    void restoreReadsCompressedXmlAndPipes() throws IOException, InterruptedException {
        String expected = Files.readString(xml);
        Path output = zeroes("restored", 4 << 20);
        for (String how : new String[] {
            "gzip -c " + xml + " >x.gz; era_restore -i x.gz -o restored",
            "zstd -qc " + xml + " >x.zst; era_restore -i x.zst -o restored",
            "era_restore -i - -o restored <" + xml,
            "zstd -qc " + xml + " | era_restore -i - -o restored",
            "era_restore -i <(cat " + xml + ") -o restored"
        }) {
            Files.write(output, new byte[4 << 20]);
            Ran.shell("cd " + folder + "; " + how).good();
            assertEquals(expected, Ran.tool("era_dump", output).good().out(), how);
        }
        Ran.shell("cd " + folder + "; head -c 2000 x.gz >cut.gz; era_restore -i cut.gz -o restored")
                .refused("");
    }

    @Test
    void bashCompletesOptions() throws IOException, InterruptedException {
        String completion =
                Ran.tool("era-tools", "generate-completion", "bash").good().out();
        Path script = Files.writeString(folder.resolve("completion"), completion);
        Ran ran = Ran.shell("source " + script + "; complete -p era_dump; COMP_WORDS=(era_invalidate --written-); "
                + "COMP_CWORD=1; COMP_LINE='era_invalidate --written-'; COMP_POINT=25; _era_complete; "
                + "echo \"${COMPREPLY[@]}\"");
        assertTrue(ran.out().contains("era_dump"), ran.toString());
        assertTrue(ran.out().contains("--written-since"), ran.toString());
        assertTrue(ran.out().contains("--written-before"), ran.toString());
        Ran.tool("era-tools", "generate-completion", "ksh").refused("bash, zsh or fish");
    }
}
