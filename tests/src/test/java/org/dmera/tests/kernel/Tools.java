// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.CommandLine;

/** The tools under test and the Rust peer, both as a caller of the classic command lines sees them. */
final class Tools {
    /** Standard output and standard error together, as the peer's are. */
    record Result(int exitCode, String output) {
        /** The output of a run that ended well. */
        String good() {
            assertEquals(0, exitCode, output);
            return output;
        }
    }

    private Tools() {}

    /** Runs one of ours inside this process. */
    static Result ours(String tool, String... arguments) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        int code = CommandLine.run(Commands.find(tool), arguments, InputStream.nullInputStream(), bytes, err);
        return new Result(code, bytes.toString(StandardCharsets.UTF_8));
    }

    static Result peer(String tool, String... arguments) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of(Lab.peer().resolve("pdata_tools").toString(), tool));
        command.addAll(Arrays.asList(arguments));
        Path output = Files.createTempFile("era-lab", ".out");
        try {
            int code = Lab.run(command, output, Duration.ofSeconds(60));
            return new Result(code, Files.readString(output));
        } finally {
            Files.delete(output);
        }
    }
}
