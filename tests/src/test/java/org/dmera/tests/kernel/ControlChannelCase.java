// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/**
 * {@code era-dmsetup} on the kernel's own control channel, beside dmsetup, in one session. What only asks is asked of both on
 * the same devices, and must be answered in the same bytes. What changes something is done by dmsetup to one device and by
 * ours to its twin, and but for their names and numbers both must say the same; the questions in between see both devices.
 */
final class ControlChannelCase implements LabCase {
    /** dmsetup's device and ours: names of the same length, so that columns stand alike. */
    private static final String THEIRS = "eraA";

    private static final String OURS = "eraB";

    private record Step(String what, boolean asks, boolean onStandardOutputOnly) {}

    private final List<Step> steps = new ArrayList<>();

    ControlChannelCase() {
        ask("version");
        ask("targets");
        ask("ls");
        change("create @ --table '0 65536 era {meta} {origin} 8'");
        ask("ls");
        ask("ls --tree");
        ask("ls --target era");
        ask("ls --target striped");
        ask("ls -o blkdevname");
        ask("info eraA");
        ask("info eraB");
        ask("info");
        ask("info -c");
        ask("info -c --noheadings -o name,major,minor,open,segments,events,uuid eraA");
        ask("info -c --separator : eraA");
        ask("deps");
        ask("deps -o devname eraB");
        ask("table");
        ask("table eraA");
        change("status @");
        change("message @ 0 checkpoint");
        settle();
        ask("status");
        ask("status --target era");
        ask("status eraA");
        change("message @ 0 take_metadata_snap");
        change("message @ 0 take_metadata_snap");
        change("message @ 0 no_such_message");
        change("message @ 0 checkpoint twice");
        change("message @ 70000 checkpoint");
        settle();
        ask("status eraB");
        change("message @ 0 drop_metadata_snap");
        change("suspend @");
        ask("info eraA");
        ask("info eraB");
        ask("table eraB");
        change("resume @");
        change("reload @ --table '0 32768 era {meta} {origin} 8'");
        ask("table --inactive");
        ask("info eraB");
        change("clear @");
        ask("info eraB");
        change("reload @ --table '0 32768 era {meta} {origin} 8x'");
        change("suspend @");
        change("reload @ --table '0 32768 era {meta} {origin} 8'");
        change("resume @");
        settle();
        ask("table");
        ask("status");
        change("rename @ @new");
        ask("ls");
        change("rename @new @");
        change("rename @ --setuuid ERA-@");
        ask("info eraB");
        ask("info -u ERA-eraB");
        change("create @ --table '0 65536 era {meta} {origin} 8'");
        change("create @x --notable");
        // dmsetup also says that there is no node to ask for the read-ahead of a device without a table.
        steps.add(new Step("info eraBx", true, true));
        ask("ls --tree");
        change("load @x --table '0 8 zero'");
        change("resume @x");
        ask("table");
        ask("deps");
        change("remove @x");
        ask("mknodes");
        ask("info nosuch");
        ask("status nosuch");
        ask("table nosuch");
        ask("remove nosuch");
        ask("message nosuch 0 checkpoint");
        change("remove @");
        ask("ls");
        ask("status");
    }

    private void ask(String what) {
        steps.add(new Step(what, true, false));
    }

    private void change(String what) {
        steps.add(new Step(what, false, false));
    }

    /** A status commits, so a question that is asked twice is first made to have one answer. */
    private void settle() {
        change("status @");
        change("status @");
        change("status @");
    }

    @Override
    public String name() {
        return "controlChannel";
    }

    @Override
    public void prepare(Path folder) throws IOException {
        List<String> lines = new ArrayList<>();
        for (Step step : steps) {
            String theirs =
                    step.what().replace("@", THEIRS).replace("{meta}", "{m1}").replace("{origin}", "{o1}");
            String ours = step.asks()
                    ? step.what()
                    : step.what().replace("@", OURS).replace("{meta}", "{m2}").replace("{origin}", "{o2}");
            lines.add(words("dmsetup " + theirs));
            lines.add(words("era-dmsetup " + ours));
        }
        Files.write(folder.resolve("session.in"), lines);
    }

    /** At spaces, but for what stands in quotes; joined by tabs. */
    private static String words(String command) {
        StringBuilder line = new StringBuilder();
        boolean quoted = false;
        for (int i = 0; i < command.length(); i++) {
            char c = command.charAt(i);
            if (c == '\'') {
                quoted = !quoted;
            } else {
                line.append(c == ' ' && !quoted ? '\t' : c);
            }
        }
        return line.toString();
    }

    @Override
    public String script() {
        return """
                . "$lab/lib.sh"
                work=/run/%1$s
                mkdir -p $work
                for device in m1 o1 m2 o2; do
                    case $device in m*) size=4M ;; *) size=32M ;; esac
                    truncate -s $size $work/$device
                    node=$(losetup -f --show $work/$device)
                    echo "@loop $device $node"
                    sed -i "s|{$device}|$node|g" session.in
                done
                export ERA_CONTROL=kernel
                "$lab/guest-session" session.in session.out
                losetup -D
                rm -rf $work
                """.formatted(name());
    }

    @Override
    public Stream<DynamicTest> checks(Path folder, CaseLog log) {
        return Stream.of(DynamicTest.dynamicTest("everyCommandAnswersAsDmsetupDoes", () -> judge(folder, log)));
    }

    private void judge(Path folder, CaseLog log) throws IOException {
        List<String> asked = Files.readAllLines(folder.resolve("session.in"));
        List<String> answers = Files.readAllLines(folder.resolve("session.out"));
        assertEquals(asked.size(), answers.size(), "a command ended the session");
        StringBuilder differences = new StringBuilder();
        for (int i = 0; i < steps.size(); i++) {
            CommandAnswer theirs = CommandAnswer.parse(answers.get(2 * i));
            CommandAnswer ours = CommandAnswer.parse(answers.get(2 * i + 1));
            if (steps.get(i).onStandardOutputOnly()) {
                theirs = new CommandAnswer(theirs.exitCode(), theirs.output(), "");
            }
            boolean same = steps.get(i).asks()
                    ? theirs.equals(ours)
                    : neutral(theirs, log).equals(neutral(ours, log));
            if (!same) {
                differences
                        .append(steps.get(i).what())
                        .append("\n  dmsetup      ")
                        .append(theirs)
                        .append("\n  era-dmsetup  ")
                        .append(ours)
                        .append('\n');
            }
        }
        assertEquals("", differences.toString());
    }

    /** Without what tells the twins apart: their names, and their loop devices' nodes and numbers. */
    private static CommandAnswer neutral(CommandAnswer answer, CaseLog log) {
        return new CommandAnswer(answer.exitCode(), neutral(answer.output(), log), neutral(answer.error(), log));
    }

    private static String neutral(String text, CaseLog log) {
        String neutral = text.replace(THEIRS, "NAME").replace(OURS, "NAME").replace("era-dmsetup", "dmsetup");
        for (String device : List.of("m1", "m2", "o1", "o2")) {
            String node = log.answer("loop", device);
            String role = device.substring(0, 1);
            neutral = neutral.replace(node, role).replace("7:" + node.replace("/dev/loop", ""), role);
        }
        return neutral;
    }
}
