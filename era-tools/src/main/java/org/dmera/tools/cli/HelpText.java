// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/**
 * What {@code --help} prints: how the program is called, what it is for, and a line or more for each operand and option.
 * picocli has laid it out when the product was built ({@link HelpPages}), for it takes longer to start than most commands
 * take to run; here it is only fetched.
 */
public final class HelpText {
    /** Of the texts, on the class path and in lib. */
    public static final String FOLDER = "help/";

    private HelpText() {}

    /** The help of the program that {@code usage} describes, UTF-8. */
    static byte[] of(Usage usage) throws IOException {
        return read(HelpText.class, fileName(usage));
    }

    /** The text in the file {@code name}, which is on the class path below {@code neighbour}'s package. */
    public static byte[] read(Class<?> neighbour, String name) throws IOException {
        // To open a jar takes as long as all the rest; what is installed has the texts beside it.
        String home = System.getProperty("era.home");
        if (home != null) {
            File file = new File(home + "/lib/" + FOLDER + name);
            if (file.exists()) {
                try (InputStream in = new FileInputStream(file)) {
                    return in.readAllBytes();
                }
            }
        }
        try (InputStream in = neighbour.getResourceAsStream(FOLDER + name)) {
            if (in == null) {
                throw new IOException("this installation has no help text " + name);
            }
            return in.readAllBytes();
        }
    }

    public static String fileName(Usage usage) {
        return usage.program.replace(' ', '-') + ".txt";
    }

    /** The list of commands at the end of the help of a program that has some. */
    public static String commands(Usage usage) throws IOException {
        String text = new String(of(usage), StandardCharsets.UTF_8);
        return text.substring(text.indexOf("Commands:"));
    }
}
