// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup;

/** Entry point of {@code era-dmsetup}. */
public final class Main {
    private Main() {}

    /** Runs {@code era-dmsetup} with {@code args}. */
    public static void main(String[] args) {
        System.err.println("era-dmsetup: no commands yet");
        System.exit(1);
    }
}
