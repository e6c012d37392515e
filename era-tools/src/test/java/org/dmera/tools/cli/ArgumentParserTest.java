// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.tools.Commands;
import org.junit.jupiter.api.Test;

/** The parser against picocli, on command lines of known words in any order. */
class ArgumentParserTest {
    private static final String[] WORDS = {
        "7", "dev", "-", "xml", "json", "--", "a=b", "-x", "--foo", "--help", "-V", "=", "4294967295", "ranges", "-q"
    };

    /** How many random command lines; the nightly run takes many more. */
    private static final int LINES = Boolean.getBoolean("era.nightly") ? 10_000 : 2_000;

    @Test
    void randomCommandLinesAreReadAsPicocliReadsThem() {
        SplittableRandom random = new SplittableRandom(1);
        int accepted = 0;
        List<String> names = Commands.names();
        for (int i = 0; i < LINES; i++) {
            Usage usage = Commands.find(names.get(i % names.size())).usage();
            String[] args = randomArgs(random, usage);
            String line = usage.program + " " + List.of(args);
            Arguments ours;
            try {
                ours = ArgumentParser.parse(usage, args, 0);
                accepted++;
            } catch (UsageException | ArgumentParser.HelpRequest e) {
                ours = null;
            }
            Arguments theirs = PicocliReference.parse(usage, args);
            assertEquals(theirs == null, ours == null, line);
            if (ours != null) {
                assertEquals(theirs.operands(), ours.operands(), line);
                for (Option option : usage.options) {
                    assertEquals(theirs.has(option.name()), ours.has(option.name()), line);
                    assertEquals(theirs.value(option.name()), ours.value(option.name()), line);
                }
            }
        }
        assertTrue(accepted > LINES / 10, "only " + accepted + " random lines were right");
    }

    private static String[] randomArgs(SplittableRandom random, Usage usage) {
        List<String> args = new ArrayList<>();
        for (Option option : usage.options) {
            if (random.nextInt(3) == 0 || option.required() && random.nextInt(10) != 0) {
                addOption(random, args, option);
            }
        }
        int operands = random.nextInt(10) == 0 ? random.nextInt(4) : usage.operands.size();
        for (int i = 0; i < operands; i++) {
            args.add(random.nextInt(args.size() + 1), random.nextInt(4) == 0 ? word(random) : "operand" + i);
        }
        return args.toArray(new String[0]);
    }

    private static void addOption(SplittableRandom random, List<String> args, Option option) {
        String name = option.letter() != 0 && random.nextBoolean() ? "-" + option.letter() : "--" + option.name();
        if (!option.takesValue()) {
            args.add(name);
            return;
        }
        String value = option.choices() != null && random.nextInt(5) != 0
                ? option.choices().get(random.nextInt(option.choices().size()))
                : word(random);
        // Attached, what looks like an option is a value to us and to the peers' parser, but not to picocli.
        boolean looksLikeOption = value.length() > 1 && value.startsWith("-");
        if (random.nextInt(3) == 0 && !looksLikeOption) {
            args.add(name + "=" + value);
        } else {
            args.add(name);
            args.add(value);
        }
    }

    private static String word(SplittableRandom random) {
        return WORDS[random.nextInt(WORDS.length)];
    }

    @Test
    void anAttachedValueMayLookLikeAnOption() throws Exception {
        Usage usage = Commands.find("era_dump").usage();
        for (String arg : List.of("--output=--x", "-o--x", "-o=--x")) {
            Arguments arguments = ArgumentParser.parse(usage, new String[] {arg, "dev"}, 0);
            assertEquals("--x", arguments.value("output"), arg);
            assertEquals(List.of("dev"), arguments.operands(), arg);
        }
    }

    @Test
    void helpAndVersionGoBeforeWhateverIsWrong() {
        Usage usage = Commands.find("era_dump").usage();
        for (String line :
                List.of("--help", "-h", "--foo -h", "-o --help", "a b -h", "-rh", "-V --help", "-xx --help")) {
            ArgumentParser.HelpRequest request = assertThrows(
                    ArgumentParser.HelpRequest.class, () -> ArgumentParser.parse(usage, line.split(" ", -1), 0), line);
            assertFalse(request.version, line);
        }
        assertThrows(UsageException.class, () -> ArgumentParser.parse(usage, new String[] {"--", "--help", "x"}, 0));
    }
}
