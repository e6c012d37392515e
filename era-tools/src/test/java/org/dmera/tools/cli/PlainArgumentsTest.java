// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.tools.Command;
import org.dmera.tools.Commands;
import org.junit.jupiter.api.Test;

/** The short way of reading a command line against the long one, picocli's. */
class PlainArgumentsTest {
    private static final String[] WORDS = {
        "7",
        "dev",
        "-",
        "",
        "xml",
        "json",
        "--",
        "a=b",
        "-x",
        "--foo",
        "--help",
        "-V",
        "=",
        "4294967295",
        "ranges",
        "-q"
    };

    @Test
    void whatTheShortWayReadsPicocliReadsAlike() {
        SplittableRandom random = new SplittableRandom(1);
        int plainOnes = 0;
        for (String name : Commands.names()) {
            Usage usage = Commands.find(name).usage();
            for (int i = 0; i < 400; i++) {
                String[] args = randomArgs(random, usage);
                Arguments plain = PlainArguments.read(usage, args, 0);
                if (plain != null) {
                    plainOnes++;
                    String line = name + " " + List.of(args);
                    Arguments full;
                    try {
                        full = ArgumentParser.parseWithPicocli(usage, args, 0);
                    } catch (UsageException | ArgumentParser.HelpRequest e) {
                        throw new AssertionError(line, e);
                    }
                    assertEquals(full.operands(), plain.operands(), line);
                    for (Option option : usage.options) {
                        assertEquals(full.has(option.name), plain.has(option.name), line);
                        assertEquals(full.values(option.name), plain.values(option.name), line);
                    }
                }
            }
        }
        assertTrue(plainOnes > 200, "only " + plainOnes + " random lines were plain");
    }

    private static String[] randomArgs(SplittableRandom random, Usage usage) {
        List<String> args = new ArrayList<>();
        for (Option option : usage.options) {
            if (random.nextInt(3) == 0 || option.required && random.nextInt(10) != 0) {
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
        String name = option.letter != 0 && random.nextBoolean() ? "-" + option.letter : "--" + option.name;
        if (!option.takesValue()) {
            args.add(name);
            return;
        }
        String value = option.choices != null && random.nextInt(5) != 0
                ? option.choices[random.nextInt(option.choices.length)]
                : word(random);
        if (random.nextInt(3) == 0) {
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
    void usualCommandLinesTakeTheShortWay() {
        for (String line : List.of(
                "era_dump -o out dev",
                "era_dump --output=out --compact dev",
                "era_invalidate --written-since 7 dev",
                "era_restore -i - -o dev",
                "era_check -q dev")) {
            String[] args = line.split(" ", -1);
            Command command = Commands.find(args[0]);
            assertNotNull(PlainArguments.read(command.usage(), args, 1), line);
        }
    }
}
