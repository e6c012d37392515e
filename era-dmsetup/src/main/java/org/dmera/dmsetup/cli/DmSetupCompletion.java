// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.tools.cli.Completion;

/** What a shell may complete for era-dmsetup. */
public final class DmSetupCompletion implements Completion.Program {
    /** The names of all commands. */
    static final List<String> NAMES =
            List.of(("create load reload clear wipe_table suspend resume remove remove_all rename message mknodes"
                            + " status table info ls deps wait targets target-version version help splitname setgeometry"
                            + " measure mangle udevflags udevcreatecookie udevreleasecookie udevcomplete udevcomplete_all"
                            + " udevcookies activate deactivate checkpoint freeze thaw rollback monitor uri attach detach"
                            + " engine")
                    .split(" "));

    @Override
    public String name() {
        return "era-dmsetup";
    }

    @Override
    public List<Completion.Item> options() {
        List<Completion.Item> options = new ArrayList<>();
        for (Switch s : Switch.values()) {
            options.add(new Completion.Item(s.letter(), s.longName(), takes(s), ""));
        }
        return options;
    }

    private static String takes(Switch s) {
        if (!s.hasValue()) {
            return Completion.NOTHING;
        }
        return switch (s) {
            case CONTROL -> Completion.CHANNEL;
            case MANGLENAME -> "none,auto,hex";
            case LOG_LEVEL ->
                Stream.of(EngineLog.Level.values()).map(EngineLog.Level::word).collect(Collectors.joining(","));
            case COW, ERATAB, STATE, NBD, NBD_TLS -> Completion.FILE;
            default -> Completion.ANYTHING;
        };
    }

    @Override
    public List<String> words() {
        return NAMES;
    }

    @Override
    public boolean takesDevices() {
        return true;
    }
}
