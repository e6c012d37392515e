// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** The table of {@code info -c}: which fields, in which order, sorted how, and how they are laid out. */
final class Report {
    private static final String DEFAULT_FIELDS = "name,major,minor,attr,open,segments,events,uuid";

    private record SortKey(ReportField field, boolean descending) {}

    private final Session session;
    private final List<ReportField> fields = new ArrayList<>();
    private final List<SortKey> sort = new ArrayList<>();

    /**
     * @throws CommandLineException for a field that there is not; the list of fields has been written
     */
    Report(Session session) throws CommandLineException {
        this.session = session;
        String wanted = session.switches().value(Switch.OPTIONS);
        if (wanted == null) {
            wanted = DEFAULT_FIELDS;
        } else if (wanted.startsWith("+")) {
            wanted = DEFAULT_FIELDS + "," + wanted.substring(1);
        }
        for (String id : wanted.split(",", -1)) {
            addField(id);
        }
        if (session.has(Switch.SORT)) {
            for (String key : session.switches().value(Switch.SORT).split(",", -1)) {
                addSortKey(key);
            }
        }
    }

    private void addField(String id) throws CommandLineException {
        if (id.equals("all")) {
            fields.addAll(List.of(ReportField.values()));
            return;
        }
        for (ReportField.Group group : ReportField.Group.values()) {
            if (id.equals(group.name().toLowerCase(java.util.Locale.ROOT) + "_all")) {
                for (ReportField field : ReportField.values()) {
                    if (field.group == group) {
                        fields.add(field);
                    }
                }
                return;
            }
        }
        fields.add(known(id));
    }

    private void addSortKey(String key) throws CommandLineException {
        boolean descending = key.startsWith("-");
        sort.add(new SortKey(known(descending || key.startsWith("+") ? key.substring(1) : key), descending));
    }

    private ReportField known(String id) throws CommandLineException {
        ReportField field = ReportField.of(id);
        if (field == null) {
            printFields(session.err());
            boolean help = id.equals("help") || id.equals("?");
            throw new CommandLineException(help ? "" : "Unrecognised field: " + id);
        }
        return field;
    }

    /** Prints the list of fields, by section. */
    static void printFields(PrintStream out) {
        for (ReportField.Group group : ReportField.Group.values()) {
            String title = group.title + " Fields";
            out.println(title);
            out.println("-".repeat(title.length()));
            out.println("  " + pad(group.name().toLowerCase(java.util.Locale.ROOT) + "_all", 21)
                    + " - All fields in this section.");
            for (ReportField field : ReportField.values()) {
                if (field.group == group) {
                    out.println("  " + pad(field.id(), 21) + " - " + field.help);
                }
            }
            out.println(" ");
        }
    }

    /** Prints a row for each device. */
    void print(List<DeviceState> states) throws IOException {
        boolean needsGraph = fields.stream().anyMatch(ReportField::needsDependencies)
                || sort.stream().anyMatch(key -> key.field.needsDependencies());
        DeviceGraph graph = needsGraph ? DeviceGraph.read(session) : DeviceGraph.none();
        sortStates(states, graph);
        List<List<String>> rows = new ArrayList<>();
        for (DeviceState state : states) {
            List<String> row = new ArrayList<>();
            for (ReportField field : fields) {
                row.add(field.value(session, state, graph));
            }
            rows.add(row);
        }
        // Without headings it is for a program, and columns are told apart by colons unless something else is said.
        boolean bare = session.has(Switch.NOHEADINGS);
        boolean aligned = !bare
                && !session.has(Switch.SEPARATOR)
                && !session.has(Switch.NAMEPREFIXES)
                && !session.has(Switch.ROWS);
        String separator =
                session.has(Switch.SEPARATOR) ? session.switches().value(Switch.SEPARATOR) : bare ? ":" : " ";
        int[] widths = aligned ? widths(rows) : null;
        if (session.has(Switch.ROWS)) {
            printColumnsAsRows(rows, separator);
            return;
        }
        if (!session.has(Switch.NOHEADINGS)) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < fields.size(); i++) {
                line.append(i == 0 ? "" : separator);
                line.append(aligned ? pad(fields.get(i).heading, widths[i]) : fields.get(i).heading);
            }
            session.out().println(line);
        }
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < fields.size(); i++) {
                line.append(i == 0 ? "" : separator);
                cell(line, fields.get(i), row.get(i), aligned ? widths[i] : 0);
            }
            session.out().println(line);
        }
    }

    /** A line for each field, with every device's value. */
    private void printColumnsAsRows(List<List<String>> rows, String separator) {
        for (int i = 0; i < fields.size(); i++) {
            ReportField field = fields.get(i);
            StringBuilder line = new StringBuilder();
            if (!session.has(Switch.NOHEADINGS)) {
                line.append(field.heading).append(separator);
            }
            for (int row = 0; row < rows.size(); row++) {
                line.append(row == 0 ? "" : separator);
                cell(line, field, rows.get(row).get(i), 0);
            }
            session.out().println(line);
        }
    }

    private void cell(StringBuilder line, ReportField field, String value, int width) {
        if (session.has(Switch.NAMEPREFIXES)) {
            String quote = session.has(Switch.UNQUOTED) ? "" : "'";
            line.append("DM_")
                    .append(field.name())
                    .append('=')
                    .append(quote)
                    .append(value)
                    .append(quote);
        } else if (field.number) {
            line.append(" ".repeat(Math.max(0, width - value.length()))).append(value);
        } else {
            line.append(pad(value, width));
        }
    }

    private int[] widths(List<List<String>> rows) {
        int[] widths = new int[fields.size()];
        for (int i = 0; i < widths.length; i++) {
            widths[i] = Math.max(
                    fields.get(i).width,
                    session.has(Switch.NOHEADINGS) ? 0 : fields.get(i).heading.length());
            for (List<String> row : rows) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        return widths;
    }

    private static String pad(String text, int width) {
        return text + " ".repeat(Math.max(0, width - text.length()));
    }

    private void sortStates(List<DeviceState> states, DeviceGraph graph) throws IOException {
        List<String[]> keys = new ArrayList<>();
        for (DeviceState state : states) {
            String[] values = new String[sort.size()];
            for (int i = 0; i < values.length; i++) {
                values[i] = sort.get(i).field.value(session, state, graph);
            }
            keys.add(values);
        }
        Comparator<Integer> order = (a, b) -> compare(keys.get(a), keys.get(b));
        List<Integer> indices = new ArrayList<>();
        for (int i = 0; i < states.size(); i++) {
            indices.add(i);
        }
        indices.sort(order);
        List<DeviceState> sorted = new ArrayList<>();
        for (int index : indices) {
            sorted.add(states.get(index));
        }
        states.clear();
        states.addAll(sorted);
    }

    private int compare(String[] a, String[] b) {
        for (int i = 0; i < a.length; i++) {
            SortKey key = sort.get(i);
            int order =
                    key.field.number ? Long.compare(Long.parseLong(a[i]), Long.parseLong(b[i])) : a[i].compareTo(b[i]);
            if (order != 0) {
                return key.descending ? -order : order;
            }
        }
        return 0;
    }
}
