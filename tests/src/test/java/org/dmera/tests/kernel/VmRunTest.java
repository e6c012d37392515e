// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The promises of {@code tests/kernel/vmrun}, on the machine that boots fastest. */
@Tag("kernel")
@Alone
class VmRunTest {
    @TempDir
    Path folder;

    private String output;

    @BeforeAll
    static void needsTheLab() throws Exception {
        Lab.assumeUsable(Kernel.USER_MODE_LINUX);
    }

    @Test
    void aScriptsOutputAndExitCodeComeBack() throws Exception {
        assertEquals(7, vmrun(60, "echo one; echo two >&2; dmsetup targets | grep -q '^era ' && exit 7"));
        assertEquals("one\ntwo\n", output);
    }

    @Test
    void theSharedFolderIsWrittenByBothSidesAndTheHostsRootByNeither() throws Exception {
        Files.writeString(folder.resolve("question"), "41");
        assertEquals(0, vmrun(60, "echo $(($(cat question) + 1)) > answer; echo gone > /etc/era-lab-was-here"));
        assertEquals("42", Files.readString(folder.resolve("answer")).strip());
        assertTrue(Files.notExists(Path.of("/etc/era-lab-was-here")));
    }

    @Test
    void aScriptThatHangsEndsAtTheTimeLimit() throws Exception {
        int limit = 3;
        // On a busy machine the guest may need all of a short limit to boot.
        do {
            limit *= 2;
            assertEquals(124, vmrun(limit, "echo begun; sleep 1000"));
            assertTrue(output.contains("vmrun: no end within " + limit + " s"), output);
        } while (!output.startsWith("begun\n") && limit < 96);
        assertTrue(output.startsWith("begun\nvmrun: no end within " + limit + " s"), output);
    }

    @Test
    void aGuestThatDiesIsNotTakenForAScriptThatFailed() throws Exception {
        assertEquals(125, vmrun(60, "echo begun; echo o > /proc/sysrq-trigger; sleep 1000"));
        assertTrue(output.startsWith("begun\n"), output);
    }

    private int vmrun(int limitSeconds, String script) throws Exception {
        Path file = Files.writeString(folder.resolve("script"), script);
        List<String> command =
                new ArrayList<>(List.of(Lab.folder().resolve("vmrun").toString()));
        command.addAll(Kernel.USER_MODE_LINUX.options());
        command.addAll(List.of("-t", Integer.toString(limitSeconds), "-s", folder.toString(), file.toString()));
        Path result = folder.resolve("result");
        int code = Lab.run(command, result, Duration.ofSeconds(limitSeconds + 30L));
        output = Files.readString(result);
        return code;
    }
}
