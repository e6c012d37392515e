// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests;

import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.testkit.Fixtures;

/** What {@code mvn package} has built, as a user has it: its programs start in half the time that the folders of classes take. */
public final class Distribution {
    public static final Path FOLDER = Fixtures.projectRoot().resolve("dist");
    public static final Path BIN = FOLDER.resolve("bin");

    private Distribution() {}

    /** The path of one of its programs. */
    public static String program(String name) {
        Path program = BIN.resolve(name);
        if (!Files.isExecutable(program)) {
            throw new AssertionError(program + " is missing: build with mvn package");
        }
        return program.toString();
    }
}
