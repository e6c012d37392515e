// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

/** Entry point of {@code era-tools} and of the launchers under the tools' classic names. */
public final class Main {
    private Main() {}

    /** Runs {@code args[0]} (a program's name) with the arguments after it. */
    public static void main(String[] args) {
        System.err.println("era-tools: no commands yet");
        System.exit(1);
    }
}
