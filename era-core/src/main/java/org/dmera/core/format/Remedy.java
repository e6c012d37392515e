// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

/** What can be done about a broken rule. */
public enum Remedy {
    /** Nothing has to be done. */
    NONE("none"),
    /** The right value is known for certain: it can be written in place. */
    AUTO_REPAIR("auto-repair"),
    /** Content is lost: a new device has to be built from what is left, the lost part counting as changed. */
    REBUILD("rebuild");

    private final String label;

    Remedy(String label) {
        this.label = label;
    }

    /** {@return what it is called in reports} */
    public String label() {
        return label;
    }
}
