// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import org.dmera.tools.Commands;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CommandLineTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    /** Prints what it was given. */
    private static class Echo implements Command {
        @Override
        public Usage usage() {
            return new Usage("era_echo", "Says what it was given")
                    .flag("quiet", 'q', "Say nothing")
                    .flag("repair", 'r', "Mend")
                    .option("output", 'o', "FILE", "Where to")
                    .required("written-since", 0, "ERA", "Since when")
                    .choice("format", 0, "FORMAT", "In which form", "xml", "json")
                    .operand("INPUT", "From where");
        }

        @Override
        public int run(Arguments a, Console console) throws IOException {
            console.print(
                    a.has("repair") + " " + a.value("output") + " " + a.number("written-since", -1, 0, 4294967295L)
                            + " " + a.value("format", "xml") + " " + a.operands());
            return 0;
        }
    }

    private int run(Command command, String... args) {
        return CommandLine.run(
                command,
                args,
                new ByteArrayInputStream(new byte[0]),
                out,
                new PrintStream(err, true, StandardCharsets.UTF_8));
    }

    private int run(String... args) {
        return run(new Echo(), args);
    }

    private String out() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    /** A program whose hook makes it fail, and sees that through. */
    public static final class FailingInItsHook {
        private static volatile boolean failed;

        public static void main(String[] args) throws InterruptedException {
            CountDownLatch signal = new CountDownLatch(1);
            Thread main = Thread.currentThread();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                signal.countDown();
                while (!failed || main.getState() != Thread.State.WAITING) {
                    Thread.onSpinWait();
                }
            }));
            System.out.println("ready");
            signal.await();
            failed = true;
            CommandLine.leave(1);
        }
    }

    @ParameterizedTest
    @CsvSource({"HUP, 129", "INT, 130", "TERM, 143"})
    void whatASignalEndsHasItsNumberForExitCode(String signal, int code) throws Exception {
        Process program = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                        FailingInItsHook.class.getName())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        assertEquals("ready", program.inputReader().readLine());
        assertEquals(
                0,
                new ProcessBuilder("kill", "-" + signal, Long.toString(program.pid()))
                        .inheritIO()
                        .start()
                        .waitFor());
        assertEquals(code, program.waitFor());
    }

    @Test
    void optionsAndOperandsComeInAnyOrderAndForm() {
        assertEquals(0, run("dev", "-ro", "x", "--written-since=7", "--format", "json"));
        assertEquals("true x 7 json [dev]\n", out());
    }

    @Test
    void aShortOptionTakesItsValueAttached() {
        assertEquals(0, run("--written-since", "4294967295", "-ofile", "--", "-dev"));
        assertEquals("false file 4294967295 xml [-dev]\n", out());
    }

    @Test
    void aSingleDashIsAValueAndAnOperand() {
        assertEquals(0, run("--written-since", "1", "-o", "-", "-"));
        assertEquals("false - 1 xml [-]\n", out());
    }

    @Test
    void anUnknownOptionIsAnUnexpectedArgument() {
        assertEquals(1, run("--foo", "dev"));
        assertEquals("""
                error: unexpected argument '--foo' found

                  tip: to pass '--foo' as a value, use '-- --foo'

                Usage: era_echo [OPTIONS] --written-since <ERA> <INPUT>

                For more information, try '--help'.
                """, err());
        assertEquals("", out());
    }

    @Test
    void aSecondOperandIsAnUnexpectedArgument() {
        assertEquals(1, run("a", "b", "--written-since", "1"));
        assertTrue(err().startsWith("error: unexpected argument 'b' found\n\nUsage: "), err());
    }

    @Test
    void everythingRequiredThatIsMissingIsNamed() {
        assertEquals(1, run("-q1"));
        assertEquals("", err());
        assertEquals(1, run());
        assertEquals("""
                error: the following required arguments were not provided:
                  --written-since <ERA>
                  <INPUT>

                Usage: era_echo --written-since <ERA> <INPUT>

                For more information, try '--help'.
                """, err());
    }

    @Test
    void anOptionGivenTwiceIsRefused() {
        assertEquals(1, run("-o", "a", "-o", "b"));
        assertTrue(err().startsWith("error: the argument '--output <FILE>' cannot be used multiple times\n"), err());
    }

    @Test
    void aMissingValueIsRefused() {
        assertEquals(1, run("dev", "--written-since"));
        assertTrue(
                err().startsWith("error: a value is required for '--written-since <ERA>' but none was supplied\n"),
                err());
    }

    /** An unset variable of a script, which as a path would be the current folder. */
    @Test
    void anEmptyValueIsAMissingOne() {
        for (String[] args : new String[][] {{"dev", "-o", ""}, {"dev", "--output="}, {"dev", "-o="}}) {
            err.reset();
            assertEquals(1, run(args));
            assertEquals("""
                    error: a value is required for '--output <FILE>' but none was supplied

                    For more information, try '--help'.
                    """, err());
        }
        err.reset();
        assertEquals(1, run("--written-since", "1", ""));
        assertTrue(err().startsWith("error: a value is required for '<INPUT>' but none was supplied\n"), err());
    }

    @Test
    void aLongOptionMayBeAbbreviatedAsFarAsNoOtherBeginsSo() {
        assertEquals(0, run("dev", "--rep", "--written=7", "--f", "json"));
        assertEquals("true null 7 json [dev]\n", out());
        assertEquals(1, run("dev", "--", "--written=7"));
        for (String several : new String[] {"--", "--ver"}) {
            err.reset();
            assertEquals(1, run(Commands.find("era_apply"), several + "=x", "dev"));
            assertTrue(err().startsWith("error: unexpected argument '" + several + "' found"), err());
        }
    }

    @Test
    void helpVersionAndQuietMayBeAbbreviatedToo() throws IOException {
        Command check = Commands.find("era_check");
        assertEquals(0, run(check, "--h"));
        assertEquals(HelpPages.of(check.usage()), out());
        out.reset();
        assertEquals(0, run(check, "--vers"));
        assertEquals(Version.current() + "\n", out());
        out.reset();
        assertEquals(1, run(Commands.find("era_apply"), "--ver", "--q", "stream"));
        assertEquals(1, run("--qui", "--written-since", "x", "d"));
        assertEquals("", err() + out());
    }

    @Test
    void aFlagTakesNoValue() {
        assertEquals(1, run("--repair=3"));
        assertTrue(
                err().startsWith("error: unexpected value '3' for '--repair' found; no more were expected\n"), err());
    }

    @Test
    void aNumberMustBeOne() {
        assertEquals(1, run("--written-since", "4294967296", "d"));
        assertTrue(err().startsWith("error: invalid value '4294967296' for '--written-since <ERA>': number too large"));
        err.reset();
        assertEquals(1, run("--written-since", "foo", "d"));
        assertEquals("""
                error: invalid value 'foo' for '--written-since <ERA>': invalid digit found in string

                For more information, try '--help'.
                """, err());
    }

    @Test
    void aChoiceMustBeOneOfTheChoices() {
        assertEquals(1, run("--format", "yaml"));
        assertTrue(err().contains("'--format <FORMAT>'\n  [possible values: xml, json]"), err());
    }

    @Test
    void quietSilencesEvenAWrongCommandLine() {
        assertEquals(1, run("-rq", "--foo"));
        assertEquals(1, run("--quiet", "--written-since", "x", "d"));
        assertEquals("", err() + out());
    }

    @Test
    void helpIsTheTextThatTheBuildMade() throws IOException {
        Command dump = Commands.find("era_dump");
        assertEquals(0, run(dump, "--help"));
        assertEquals(HelpPages.of(dump.usage()), out());
    }

    @Test
    void aHelpTextThatIsNotThereIsSaidInOneLine() {
        assertEquals(1, run("--help"));
        assertEquals("era_echo: this installation has no help text era_echo.txt\n", err());
    }

    @Test
    void theVersionIsBare() {
        assertEquals(0, run("-V"));
        assertTrue(out().matches("\\d+\\.\\d+.*\n"), out());
    }

    @Test
    void helpAndVersionTakeNoValue() {
        assertEquals(1, run("--help=x"));
        assertTrue(err().startsWith("error: unexpected value 'x' for '--help' found; no more were expected\n"), err());
        err.reset();
        assertEquals(1, run("d", "--version=1"));
        assertTrue(
                err().startsWith("error: unexpected value '1' for '--version' found; no more were expected\n"), err());
        assertEquals("", out());
    }

    @Test
    void aNearMissIsToldWhatItIsNearTo() {
        for (String[] miss : new String[][] {
            {"--ouput", "output"},
            {"--formats=xml", "format"},
            {"--write-since", "written-since"},
            {"--verson", "version"}
        }) {
            err.reset();
            assertEquals(1, run(miss[0], "dev"));
            assertTrue(err().contains("\n  tip: a similar argument exists: '--" + miss[1] + "'\n"), err());
        }
    }

    @Test
    void aNumberMayHaveAPlusSign() {
        assertEquals(0, run("--written-since", "+30", "dev"));
        assertEquals("false null 30 xml [dev]\n", out());
        for (String none : new String[] {"+", "++3", "+-3", "-3"}) {
            assertEquals(1, run("--written-since=" + none, "dev"), none);
        }
    }

    @Test
    void anEmptyArgumentTooManyIsAnUnexpectedArgument() {
        assertEquals(1, run("--written-since", "1", "dev", ""));
        assertTrue(err().startsWith("error: unexpected argument '' found\n\nUsage: "), err());
    }

    @Test
    void aFailureIsOneLineThatNamesTheProgram() {
        assertEquals(1, run(new Failing(new IOException("no space left"))));
        assertEquals("era_echo: no space left\n", err());
    }

    @Test
    void anInternalErrorIsOneLineWithAHint() {
        assertEquals(1, run(new Failing(new IllegalStateException("a\nb"))));
        assertEquals(
                "era_echo: internal error: java.lang.IllegalStateException: a b"
                        + " (run it again with ERA_DEBUG=1 to see where, and report it)\n",
                err());
    }

    @Test
    void memoryThatIsNotEnoughIsNoInternalErrorAndItIsSaidHowToGiveMore() {
        assertEquals(1, run(new Failing(new OutOfMemoryError("Java heap space"))));
        assertEquals(
                "era_echo: out of memory: Java heap space; ERA_JAVA_OPTS=-Xmx4g lets Java take 4 GiB, say\n", err());
    }

    @Test
    void aPartOfTheProgramThatIsMissingIsNoInternalError() {
        for (Error missing :
                new Error[] {new NoClassDefFoundError("com/example/Part"), new UnsatisfiedLinkError("com/example/Part")
                }) {
            assertEquals(1, run(new Failing(missing)));
        }
        String line = "era_echo: couldn't load a part of the program or of Java: com/example/Part;"
                + " a file of theirs is missing, or can't be read, or too many are open (ulimit -n)\n";
        assertEquals(line + line, err());
    }

    @Test
    void aClosedPipeEndsWithoutAWord() {
        Command prints = new Failing(null) {
            @Override
            public int run(Arguments a, Console console) throws IOException {
                console.print("x");
                return 0;
            }
        };
        int code = CommandLine.run(
                prints,
                new String[0],
                new ByteArrayInputStream(new byte[0]),
                new java.io.OutputStream() {
                    @Override
                    public void write(int b) throws IOException {
                        throw new IOException("Broken pipe");
                    }
                },
                new PrintStream(err, true, StandardCharsets.UTF_8));
        assertEquals(1, code);
        assertEquals("", err());
    }

    private static class Failing implements Command {
        private final Throwable failure;

        Failing(Throwable failure) {
            this.failure = failure;
        }

        @Override
        public Usage usage() {
            return new Usage("era_echo", "Fails");
        }

        @Override
        public int run(Arguments a, Console console) throws IOException {
            if (failure instanceof IOException io) {
                throw io;
            }
            if (failure instanceof Error error) {
                throw error;
            }
            throw (RuntimeException) failure;
        }
    }
}
