// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.dmera.dmsetup.control.ControlChoice;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.engine.EngineOptions;
import org.dmera.dmsetup.engine.EngineProcess;
import org.dmera.dmsetup.engine.EngineStarter;
import org.dmera.dmsetup.engine.NbdTcp;
import org.dmera.dmsetup.engine.TcpAccess;

/** {@code engine}: hosts mapped devices, here or in the background. */
final class EngineCommand {
    boolean run(Session session, List<String> operands) throws IOException {
        EngineOptions options = options(session.switches(), System.getenv());
        if (session.has(Switch.DETACH)) {
            EngineStarter.start(options);
            return true;
        }
        EngineLog log = new EngineLog(session.err(), options.level(), EngineLog.Form.ofStandardError(System.getenv()));
        return EngineProcess.run(options, log) == 0;
    }

    /** What the command line and the environment say of an engine. */
    static EngineOptions options(Switches switches, Map<String, String> environment) throws CommandLineException {
        Path control =
                ControlChoice.of(switches.value(Switch.CONTROL), environment).socket();
        if (control == null) {
            throw new CommandLineException("engine: --control names the kernel; expected the path of a socket.");
        }
        String state = switches.value(Switch.STATE);
        String nbd = switches.value(Switch.NBD);
        String tls = switches.value(Switch.NBD_TLS);
        if (tls == null && switches.has(Switch.NBD_TLS_ALLOW)) {
            throw new CommandLineException("engine: --nbd-tls-allow needs the certificates of --nbd-tls.");
        }
        TcpAccess access = new TcpAccess(
                tls == null ? null : Path.of(tls), switches.allowedClients(), switches.has(Switch.NBD_PLAIN));
        NbdTcp tcp = null;
        int tcpAt = nbd == null ? -1 : NbdTcp.find(nbd);
        if (tcpAt >= 0) {
            tcp = tcp(access, nbd.substring(tcpAt));
            nbd = tcpAt == 0 ? null : nbd.substring(0, tcpAt - 1);
        } else if ((tls != null || access.plain()) && !EngineProcess.isHandedSockets(environment)) {
            throw new CommandLineException(
                    "engine: --nbd-tls, --nbd-tls-allow and --nbd-plain are for TCP: they need an"
                            + " address in --nbd tcp:HOST:PORT.");
        }
        return new EngineOptions(
                control,
                state == null ? EngineOptions.defaultState(environment) : Path.of(state),
                nbd == null ? EngineOptions.nbdSocket(control) : Path.of(nbd),
                level(switches.value(Switch.LOG_LEVEL)),
                tcp,
                access);
    }

    private static NbdTcp tcp(TcpAccess access, String address) throws CommandLineException {
        try {
            return NbdTcp.parse(address, access);
        } catch (IllegalArgumentException e) {
            throw new CommandLineException("engine: --nbd: " + e.getMessage() + ".");
        }
    }

    private static EngineLog.Level level(String word) throws CommandLineException {
        for (EngineLog.Level level : EngineLog.Level.values()) {
            if (level.word().equals(word == null ? "info" : word)) {
                return level;
            }
        }
        throw new CommandLineException(
                "Invalid argument for --log-level: " + word + ". Expected error, warning, info or debug.");
    }
}
