// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;

/** The version of the tools, as the build wrote it down. */
public final class Version {
    private Version() {}

    /** Such as {@code 1.2.3}. */
    public static String current() throws IOException {
        // The launchers know it: to open the jar for it would take a third of the run.
        String told = System.getProperty("era.version");
        if (told != null) {
            return told;
        }
        Properties properties = new Properties();
        try (InputStream in = Version.class.getResourceAsStream("/org/dmera/tools/version.properties")) {
            properties.load(in);
        }
        return properties.getProperty("version");
    }
}
