// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;

/** Block devices of an engine's mapped devices: {@code create --attach}, {@code attach}, {@code detach}. */
final class Attachments {
    private static final String ATTACH = "@attach";

    private Attachments() {}

    static boolean attach(Session session, String name) throws IOException {
        return send(session, DeviceId.ofName(name), ATTACH);
    }

    static boolean attach(Session session, List<String> operands) throws IOException {
        return send(session, session.deviceOf(operands), ATTACH);
    }

    static boolean detach(Session session, List<String> operands) throws IOException {
        return send(session, session.deviceOf(operands), "@detach");
    }

    /** Attaching is for those who have no nodes yet. */
    static void requireEngine(Session session) throws IOException {
        if (session.control().isKernel()) {
            throw new CommandLineException("The kernel's devices have nodes of their own.");
        }
    }

    private static boolean send(Session session, DeviceId device, String verb) throws IOException {
        requireEngine(session);
        String node = session.client().message(device, 0, verb);
        if (node != null && !node.isEmpty()) {
            if (verb.equals(ATTACH)) {
                ReadAhead.apply(session, Path.of(node));
            }
            session.out().println(node);
        }
        return true;
    }
}
