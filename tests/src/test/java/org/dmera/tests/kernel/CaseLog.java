// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.List;
import java.util.Optional;

/** What a case's script said; lines that begin with {@code @} are answers. */
record CaseLog(List<String> lines) {

    /** The rest of the line {@code @topic label …}. */
    String answer(String topic, String label) {
        String start = "@" + topic + " " + label + " ";
        Optional<String> line =
                lines.stream().filter(text -> text.startsWith(start)).findFirst();
        return line.orElseThrow(() -> new AssertionError("the guest's log has no line \"" + start + "\":\n" + this))
                .substring(start.length());
    }

    @Override
    public String toString() {
        return String.join("\n", lines);
    }
}
