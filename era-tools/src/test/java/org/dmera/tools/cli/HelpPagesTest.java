// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.Commands;
import org.dmera.tools.EraTools;
import org.dmera.tools.ToolHelpPages;
import org.dmera.tools.backup.BackupUsage;
import org.dmera.tools.backup.ServeUsage;
import org.junit.jupiter.api.Test;

class HelpPagesTest {
    private static List<Usage> usages() {
        List<Usage> usages = new ArrayList<>(List.of(EraTools.USAGE, BackupUsage.usage(), ServeUsage.usage()));
        Commands.names().forEach(name -> usages.add(Commands.find(name).usage()));
        return usages;
    }

    @Test
    void everyProgramPrintsWhatPicocliMakesOfItsTable() throws IOException {
        Map<String, String> pages = ToolHelpPages.pages();
        assertEquals(usages().size(), pages.size());
        for (Usage usage : usages()) {
            String page = pages.get(HelpText.fileName(usage));
            assertArrayEquals(page.getBytes(StandardCharsets.UTF_8), HelpText.of(usage), usage.program);
        }
    }

    @Test
    void everyOptionAndOperandIsThereAndExplained() throws IOException {
        for (Usage usage : usages()) {
            String text = text(usage);
            assertTrue(text.startsWith("Usage: " + usage.synopsis() + "\n"), text);
            List<Option> all = new ArrayList<>(usage.options);
            all.addAll(usage.operands);
            String words = text.replaceAll("\\s+", " ");
            for (Option option : all) {
                String names = option.positional()
                        ? option.display()
                        : (option.letter() == 0 ? "" : "-" + option.letter() + ", ") + "--" + option.name()
                                + (option.takesValue() ? "=<" + option.label() + ">" : "");
                assertEquals(!option.hidden(), words.contains(" " + names + " " + option.description() + " "), names);
            }
            assertTrue(words.contains(usage.about), words);
            assertTrue(text.contains(usage.footer), text);
        }
    }

    @Test
    void linesFitAndAreWhole() throws IOException {
        for (Usage usage : usages()) {
            String text = text(usage);
            assertTrue(text.endsWith("\n") && !text.endsWith("\n\n"), text);
            for (String line : text.split("\n", -1)) {
                assertTrue(line.length() <= HelpPages.WIDTH, line);
                assertEquals(line.stripTrailing(), line);
            }
        }
    }

    @Test
    void descriptionsBeginTwoBlanksAfterTheLongestNameThatDoesNotStandAlone() {
        Usage usage = new Usage("era_echo", "100 % of what it was given")
                .flag("loud", 'l', "Cry " + "and shout ".repeat(9).trim())
                .option("a-name-that-is-long", 0, "VALUE", "Below it")
                .operands("INPUT", false, "From where")
                .footer("At 50 %");
        assertEquals("""
                Usage: era_echo [OPTIONS] [INPUT]...
                100 % of what it was given

                Arguments:
                      <INPUT>...  From where

                Options:
                  -l, --loud      Cry and shout and shout and shout and shout and shout and shout and shout and
                                  shout and shout
                      --a-name-that-is-long=<VALUE>
                                  Below it
                  -h, --help      Print help
                  -V, --version   Print version

                At 50 %
                """, HelpPages.of(usage));
    }

    @Test
    void everyCommandIsListed() throws IOException {
        String list = HelpText.commands(EraTools.USAGE);
        for (String name : Commands.names()) {
            assertTrue(list.contains("\n  " + name + " "), list);
        }
    }

    @Test
    void manualAndHelpNameTheSameOptions() throws IOException {
        for (Usage usage : usages()) {
            // Those of era-tools' own commands are in its page.
            boolean own = usage.program.startsWith("era-tools");
            String page = Files.readString(
                    Fixtures.projectRoot().resolve("man/" + (own ? "era-tools" : usage.program) + ".8"));
            Set<String> onThePage = longNames(page.lines());
            for (String shown : usage.shownNames()) {
                boolean common = shown.equals("help") || shown.equals("version");
                assertTrue(own && common || onThePage.contains(shown), usage.program + " --" + shown);
            }
            if (!own) {
                // In the text below, options of other programs are named too.
                Stream<String> synopsis = page.lines().takeWhile(line -> !line.startsWith(".Sh DESCRIPTION"));
                Set<String> itsOwn =
                        longNames(Stream.concat(synopsis, page.lines().filter(line -> line.startsWith(".It Fl"))));
                itsOwn.removeAll(usage.shownNames());
                assertEquals(Set.of(), itsOwn, usage.program);
            }
        }
    }

    private static Set<String> longNames(Stream<String> lines) {
        Set<String> names = new TreeSet<>();
        lines.forEach(line -> {
            Matcher matcher =
                    Pattern.compile("Fl -([a-z0-9-]+)|--([a-z][a-z-]*)").matcher(line);
            while (matcher.find()) {
                names.add(matcher.group(1) != null ? matcher.group(1) : matcher.group(2));
            }
        });
        return names;
    }

    private static String text(Usage usage) throws IOException {
        return new String(HelpText.of(usage), StandardCharsets.UTF_8);
    }
}
