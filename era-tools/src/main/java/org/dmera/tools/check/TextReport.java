// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.check;

import java.io.IOException;
import org.dmera.core.check.CheckReport;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Remedy;
import org.dmera.core.format.Severity;
import org.dmera.tools.cli.Console;

/** A check's findings for people: one a line, then how many there are and what to do. Nothing when all is well. */
final class TextReport {
    private final Console console;
    private final boolean fatalOnly;

    TextReport(Console console, boolean fatalOnly) {
        this.console = console;
        this.fatalOnly = fatalOnly;
    }

    void print(CheckReport report, String input) throws IOException {
        StringBuilder text = new StringBuilder();
        for (Damage damage : report.damages()) {
            if (isShown(damage)) {
                text.append(damage).append('\n');
            }
        }
        appendOmitted(text, report);
        long fatal = report.count(Severity.FATAL);
        long nonFatal = fatalOnly ? 0 : report.count(Severity.NON_FATAL);
        if (fatal + nonFatal > 0) {
            text.append(fatal).append(" fatal and ").append(nonFatal).append(" non-fatal errors found. ");
            text.append(advice(report, input)).append('\n');
        }
        flush(text);
    }

    /** Says what has been mended. */
    void repaired(CheckReport before) throws IOException {
        StringBuilder text = new StringBuilder();
        for (Damage damage : before.damages()) {
            if (damage.remedy() == Remedy.AUTO_REPAIR) {
                text.append("repaired: ").append(damage).append('\n');
            }
        }
        flush(text);
    }

    private boolean isShown(Damage damage) {
        return !fatalOnly || damage.severity() == Severity.FATAL;
    }

    private void appendOmitted(StringBuilder text, CheckReport report) {
        for (DamageKind kind : DamageKind.values()) {
            if (fatalOnly && kind.severity() != Severity.FATAL) {
                continue;
            }
            long kept = 0;
            for (Damage damage : report.damages()) {
                kept += damage.kind() == kind ? 1 : 0;
            }
            if (report.count(kind) > kept) {
                text.append("and ").append(report.count(kind) - kept).append(" more of the kind ");
                text.append(kind.label()).append('\n');
            }
        }
    }

    private static String advice(CheckReport report, String input) {
        boolean auto = false;
        for (Damage damage : report.damages()) {
            if (damage.severity() != Severity.NOTE && damage.remedy() != Remedy.AUTO_REPAIR) {
                return "To save what can be read into a new device: era_repair -i " + input + " -o <NEW DEVICE>";
            }
            auto |= damage.remedy() == Remedy.AUTO_REPAIR;
        }
        return auto ? "To mend them in place: era_check --auto-repair " + input : "";
    }

    private void flush(StringBuilder text) throws IOException {
        if (text.length() > 0) {
            console.print(text.substring(0, text.length() - 1));
        }
    }
}
