// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Arrays;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.backup.BackupCommand;
import org.dmera.dmsetup.cli.DmSetup;
import org.dmera.dmsetup.serve.ServeCommand;
import org.dmera.tools.cli.CommandLine;

/**
 * Entry point of {@code era-dmsetup}, of {@code era_backup}, which needs the same channels, and of {@code era_serve}, which
 * needs the same server.
 */
public final class Main {
    private static final int OUTPUT_BYTES = 64 * 1024;

    /** Why what was printed did not get out: standard output's streams keep it to themselves. */
    private static String lost = "write failed";

    private Main() {}

    /** Runs the command line after {@code args[0]}, which is the program's name. */
    public static void main(String[] args) {
        CommandLine.leave(run(args));
    }

    /** As {@link #main}, but for the end of the process: returns its exit code. */
    static int run(String[] args) {
        if (args.length > 0 && args[0].equals("era_backup")) {
            // What its hook would wait for, when a signal ends it, is over.
            return CommandLine.run(new BackupCommand(), args, 1);
        }
        if (args.length > 0 && args[0].equals("era_serve")) {
            return CommandLine.run(new ServeCommand(), args, 1);
        }
        PrintStream out = stream(FileDescriptor.out, false);
        PrintStream err = stream(FileDescriptor.err, true);
        String program = args.length == 0 ? "era-dmsetup" : args[0];
        int code;
        try {
            for (String arg : args) {
                NativeText.requireSayable(arg);
            }
            code = DmSetup.ofProcess(System.in, out, err)
                    .run(program, Arrays.asList(args).subList(Math.min(1, args.length), args.length));
        } catch (IOException e) {
            err.println(program + ": " + e.getMessage());
            code = 1;
        }
        if (out.checkError() && code == 0) {
            code = 1;
            // What reads our output wants no more (era-dmsetup ls | head): no failure to speak of.
            if (!lost.equals(Errno.EPIPE.text())) {
                err.println("era-dmsetup: standard output: " + lost);
            }
        }
        err.flush();
        return code;
    }

    private static PrintStream stream(FileDescriptor descriptor, boolean lineByLine) {
        FileOutputStream file = new FileOutputStream(descriptor) {
            @Override
            public void write(byte[] bytes, int from, int length) throws IOException {
                try {
                    super.write(bytes, from, length);
                } catch (IOException e) {
                    // The launcher's locale has this text in English.
                    lost = e.getMessage();
                    throw e;
                }
            }
        };
        return NativeText.printStream(new BufferedOutputStream(file, OUTPUT_BYTES), lineByLine);
    }
}
