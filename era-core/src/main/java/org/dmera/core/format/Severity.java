// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

/** How bad a broken rule is. */
public enum Severity {
    /** The kernel would misbehave, or a mark may be lost. */
    FATAL("fatal"),
    /** Space is lost, or a hint is wrong; no mark is in danger. */
    NON_FATAL("non-fatal"),
    /** Nothing is wrong: a peculiarity that the kernel itself leaves behind. */
    NOTE("note");

    private final String label;

    Severity(String label) {
        this.label = label;
    }

    /** {@return what it is called in reports} */
    public String label() {
        return label;
    }
}
