// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.cli.HelpPages;
import org.junit.jupiter.api.Test;

class UsagePageTest {
    /** Refused, each with its reason: dmsetup's cookies, and its selection. */
    private static final Set<String> REFUSED =
            Set.of("udevcreatecookie", "udevreleasecookie", "udevcomplete", "udevcomplete_all", "udevcookies", "-S");

    @Test
    void whoGivesNoCommandGetsWhatPicocliMakes() {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        DmSetup program = new DmSetup(
                new ByteArrayInputStream(new byte[0]),
                new PrintStream(new ByteArrayOutputStream()),
                new PrintStream(err, true, StandardCharsets.UTF_8));
        assertEquals(1, program.run("era-dmsetup", List.of()));
        assertEquals(UsagePage.text(), err.toString(StandardCharsets.UTF_8));
    }

    @Test
    void linesFitAndAreWhole() {
        String text = UsagePage.text();
        assertTrue(text.endsWith(".\n"), text);
        for (String line : text.split("\n", -1)) {
            assertTrue(line.length() <= HelpPages.WIDTH, line);
            assertEquals(line.stripTrailing(), line);
        }
    }

    @Test
    void everyCommandIsThere() {
        Set<String> words = new TreeSet<>(List.of(UsagePage.text().split("\\s+", -1)));
        for (String command : DmSetupCompletion.NAMES) {
            assertEquals(!REFUSED.contains(command), words.contains(command), command);
        }
    }

    @Test
    void manualAndHelpNameTheSameOptions() throws IOException {
        String page = Files.readString(Fixtures.projectRoot().resolve("man/era-dmsetup.8"));
        String engine = Files.readString(Fixtures.projectRoot().resolve("man/era-engine.8"));
        Set<String> inManual = options(page, "Fl (-?[a-zA-Z][a-z-]*)", "-");
        // In the text below, options of other programs are named too.
        String synopsis = engine.substring(0, engine.indexOf(".Sh DESCRIPTION"));
        inManual.addAll(options(synopsis, "Fl (-?[a-zA-Z][a-z-]*)", "-"));
        inManual.removeAll(REFUSED);
        Set<String> inHelp = options(UsagePage.text(), "(?<![\\w-])(--?[a-zA-Z][a-z-]*)", "");
        Set<String> missing = new TreeSet<>(inManual);
        missing.removeAll(inHelp);
        assertEquals(Set.of(), missing, "not in the help");
        missing = new TreeSet<>(inHelp);
        missing.removeAll(inManual);
        missing.removeAll(options(engine, "Fl (-?[a-zA-Z][a-z-]*)", "-"));
        missing.removeAll(Set.of("-h", "--help", "--verbose", "--version"));
        assertEquals(Set.of(), missing, "not in the manual");
        for (String option : inHelp) {
            boolean isLong = option.startsWith("--");
            assertTrue(
                    isLong ? isSwitch(option.substring(2)) : Switch.ofLetter(option.charAt(1)) != null,
                    option + " is no option");
        }
    }

    private static boolean isSwitch(String name) {
        for (Switch s : Switch.values()) {
            if (s.longName().equals(name)) {
                return true;
            }
        }
        return false;
    }

    private static Set<String> options(String text, String pattern, String prefix) {
        Set<String> options = new TreeSet<>();
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        while (matcher.find()) {
            options.add(prefix + matcher.group(1));
        }
        return options;
    }
}
