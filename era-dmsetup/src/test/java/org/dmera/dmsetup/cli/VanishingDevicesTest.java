// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.SocketControl;
import org.dmera.dmsetup.engine.TestEngine;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A device that is removed between the list of all and the question about it. */
class VanishingDevicesTest {
    @TempDir
    Path folder;

    private TestEngine engine;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    /** Removes the device in the middle as soon as any is asked about. */
    private static final class Remover implements Control {
        private final Control real;
        private boolean removed;

        Remover(Control real) {
            this.real = real;
        }

        @Override
        public int call(int command, ByteBuffer buffer) throws IOException {
            boolean asks = command == DmCommand.DEV_STATUS.number()
                    || command == DmCommand.TABLE_STATUS.number()
                    || command == DmCommand.TABLE_DEPS.number();
            if (asks && !removed) {
                removed = true;
                DmCall.of("remove", DmCommand.DEV_REMOVE, DeviceId.ofName("middle"))
                        .run(real);
            }
            return real.call(command, buffer);
        }

        @Override
        public String describe() {
            return real.describe();
        }

        @Override
        public void close() throws IOException {
            real.close();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "status",
                "table",
                "info",
                "info -c",
                "deps",
                "ls --target zero",
                "ls --tree",
                "table --concise",
                "status --json",
                "table --json",
                "info --json",
                "ls --json",
            })
    void hidesNoOtherAndIsTold(String command) throws IOException {
        Path socket = folder.resolve("run/control");
        try (Control control = SocketControl.connect(socket)) {
            for (String name : new String[] {"first", "middle", "zlast"}) {
                run(control, List.of("create", name, "--table", "0 8 zero"), 0);
            }
            String text = run(new Remover(SocketControl.connect(socket)), List.of(command.split(" ", -1)), 1);
            assertTrue(text.contains("first") && text.contains("zlast"), text);
            assertTrue(text.contains("Device does not exist: middle\n"), text);
        }
    }

    @Test
    void namedByTheCommandLineEndsTheCommand() throws IOException {
        Path socket = folder.resolve("run/control");
        run(SocketControl.connect(socket), List.of("create", "first", "-n"), 0);
        String text = run(SocketControl.connect(socket), List.of("info", "nosuch", "first"), 1);
        assertEquals("Device does not exist.\nCommand failed.\n", text);
    }

    private static String run(Control control, List<String> words, int expected) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(out, true, StandardCharsets.UTF_8);
        int code = new DmSetup(
                        new ByteArrayInputStream(new byte[0]),
                        both,
                        both,
                        (switches, creating) -> new Unclosed(control))
                .run("dmsetup", words);
        String text = out.toString(StandardCharsets.UTF_8);
        assertEquals(expected, code, text);
        return text;
    }

    /** Commands close their channel. */
    private record Unclosed(Control control) implements Control {
        @Override
        public int call(int command, ByteBuffer buffer) throws IOException {
            return control.call(command, buffer);
        }

        @Override
        public String describe() {
            return control.describe();
        }

        @Override
        public void close() {}
    }
}
