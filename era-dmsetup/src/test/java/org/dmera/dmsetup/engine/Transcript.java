// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.dmera.testkit.Fixtures;

/** The transcripts of the real dmsetup on a real kernel ({@code fixtures/dmsetup}), by section. */
final class Transcript {
    /**
     * A command and what it did; {@code kernelLog} is what the kernel wrote to its log meanwhile, {@code number} tells
     * it from its like in the same section.
     */
    record Step(
            int number,
            String command,
            String result,
            List<String> stdout,
            List<String> stderr,
            List<String> kernelLog) {
        boolean isDmsetup() {
            return command.startsWith("dmsetup ");
        }
    }

    /** Steps under one title. */
    record Section(String title, List<Step> steps) {
        /** What is in brackets at the beginning of the title. */
        String topic() {
            return title.substring(1, title.indexOf(']'));
        }

        /** The title without its topic. */
        String name() {
            return title.substring(title.indexOf(']') + 2);
        }

        @Override
        public String toString() {
            return title;
        }
    }

    private Transcript() {}

    static List<Section> sections() {
        List<Section> sections = new ArrayList<>();
        Step last = null;
        try {
            for (String line : Files.readAllLines(Fixtures.folder().resolve("dmsetup/kernel-6.1.192.txt"))) {
                if (line.startsWith("## ")) {
                    sections.add(new Section(line.substring(3), new ArrayList<>()));
                } else if (line.startsWith("  $ ")) {
                    int arrow = line.lastIndexOf("   -> rc ");
                    last = new Step(
                            sections.get(sections.size() - 1).steps.size(),
                            line.substring(4, arrow),
                            line.substring(arrow + 9),
                            new ArrayList<>(),
                            new ArrayList<>(),
                            new ArrayList<>());
                    sections.get(sections.size() - 1).steps.add(last);
                } else if (last != null && line.startsWith("      O| ")) {
                    last.stdout.add(line.substring(9));
                } else if (last != null && line.startsWith("      E| ")) {
                    last.stderr.add(line.substring(9));
                } else if (last != null && line.startsWith("      K| ")) {
                    last.kernelLog.add(line.substring(9));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return sections;
    }
}
