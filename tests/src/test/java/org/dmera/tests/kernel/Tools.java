// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The tools under test and the Rust peer, both as a caller of the classic command lines sees them. */
final class Tools {
    record Result(int exitCode, String output) {}

    private Tools() {}

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
