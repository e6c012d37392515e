// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The tables of {@code info -c} and {@code splitname}: which fields, in which order, sorted how, and how they are laid out. */
final class Report {
    private static final String INFO_FIELDS = "name,major,minor,attr,open,segments,events,uuid";
    private static final String NAME_FIELDS = "vg_name,lv_name,lv_layer";

    private record SortKey(ReportField field, boolean descending) {}

    /** What a row is about. */
    @FunctionalInterface
    interface Row {
        String value(ReportField field) throws IOException;
    }

    private final Session session;
    private final Headings headings;
    private final Set<ReportField.Group> groups;
    private final List<ReportField> fields = new ArrayList<>();
    private final List<SortKey> sort = new ArrayList<>();
    private boolean help;

    /** The report of {@code info}; null when the list of fields was asked for, and has been written. */
    static Report ofInfo(Session session) throws CommandLineException {
        return of(session, INFO_FIELDS, EnumSet.allOf(ReportField.Group.class));
    }

    /** The report of {@code splitname}; null as for {@link #ofInfo}. */
    static Report ofName(Session session) throws CommandLineException {
        return of(session, NAME_FIELDS, EnumSet.of(ReportField.Group.SPLITNAME));
    }

    /** What stands above a column ({@code --headings}, which newer versions of dmsetup have). */
    enum Headings {
        NONE,
        ABBREV,
        FULL;

        /** By a word in any case or its number; {@code --noheadings} is {@link #NONE} too. */
        static Headings of(Switches switches) throws CommandLineException {
            String wanted = switches.value(Switch.HEADINGS);
            if (wanted == null) {
                return switches.has(Switch.NOHEADINGS) ? NONE : ABBREV;
            }
            for (Headings each : values()) {
                if (wanted.equalsIgnoreCase(each.name()) || wanted.equals(Integer.toString(each.ordinal()))) {
                    return each;
                }
            }
            throw new CommandLineException("Unknown headings type.");
        }

        String of(ReportField field) {
            return this == NONE ? "" : this == ABBREV ? field.heading : field.id();
        }
    }

    /** Fails for a field that there is not; the list of fields has been written. */
    private static Report of(Session session, String defaultFields, Set<ReportField.Group> groups)
            throws CommandLineException {
        Report report = new Report(session, groups);
        String wanted = session.switches().value(Switch.OPTIONS);
        if (wanted == null) {
            wanted = defaultFields;
        } else if (wanted.startsWith("+")) {
            wanted = defaultFields + "," + wanted.substring(1);
        }
        for (String id : wanted.split(",", -1)) {
            report.addField(id);
        }
        if (session.has(Switch.SORT)) {
            for (String key : session.switches().value(Switch.SORT).split(",", -1)) {
                report.addSortKey(key);
            }
        }
        return report.help ? null : report;
    }

    private Report(Session session, Set<ReportField.Group> groups) throws CommandLineException {
        this.session = session;
        headings = Headings.of(session.switches());
        this.groups = groups;
    }

    private void addField(String id) throws CommandLineException {
        if (id.isEmpty()) {
            return;
        }
        boolean several = false;
        for (ReportField.Group group : ReportField.Group.values()) {
            boolean all = id.equalsIgnoreCase("all") && groups.contains(group);
            if (all || id.equalsIgnoreCase(group.name() + "_all")) {
                several = true;
                for (ReportField field : ReportField.values()) {
                    if (field.group == group) {
                        fields.add(known(field.id()));
                    }
                }
            }
        }
        ReportField field = several ? null : known(id);
        if (field != null) {
            fields.add(field);
        }
    }

    private void addSortKey(String key) throws CommandLineException {
        boolean descending = key.startsWith("-");
        String id = descending || key.startsWith("+") ? key.substring(1) : key;
        ReportField field = id.isEmpty() ? null : known(id);
        if (sort.stream().anyMatch(given -> given.field == field)) {
            session.err().println("dm_report: Ignoring duplicate sort field: " + field.id() + ".");
        } else if (field != null) {
            sort.add(new SortKey(field, descending));
        }
    }

    /** The field of that name; null when it asks for help, which has been given. */
    private ReportField known(String id) throws CommandLineException {
        if (id.equalsIgnoreCase("help") || id.equals("?")) {
            if (!help) {
                printFields(session.err());
            }
            help = true;
            return null;
        }
        ReportField field = ReportField.of(id);
        if (field == null) {
            printFields(session.err());
            throw new CommandLineException("Unrecognised field: " + id);
        }
        if (!groups.contains(field.group)) {
            throw new CommandLineException("Field " + field.id() + " is not about names.");
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

    /** Whether a field needs every device's dependencies. */
    boolean needsDependencies() {
        return fields.stream().anyMatch(ReportField::needsDependencies)
                || sort.stream().anyMatch(key -> key.field.needsDependencies());
    }

    void print(List<Row> unsorted) throws IOException {
        // Unbuffered means that nothing waits for what comes later: neither its turn nor its width.
        List<Row> sorted = session.has(Switch.UNBUFFERED) ? unsorted : sorted(unsorted);
        List<List<String>> rows = new ArrayList<>();
        for (Row values : sorted) {
            List<String> row = new ArrayList<>();
            for (ReportField field : fields) {
                row.add(values.value(field));
            }
            rows.add(row);
        }
        // Without headings it is for a program, and columns are separated by colons unless something else is asked for.
        boolean bare = session.has(Switch.NOHEADINGS);
        boolean aligned = !bare
                && !session.has(Switch.SEPARATOR)
                && !session.has(Switch.NAMEPREFIXES)
                && !session.has(Switch.ROWS);
        String separator =
                session.has(Switch.SEPARATOR) ? session.switches().value(Switch.SEPARATOR) : bare ? ":" : " ";
        int[] widths = aligned ? widths(rows) : new int[fields.size()];
        if (session.has(Switch.ROWS)) {
            printColumnsAsRows(rows, separator);
            return;
        }
        if (headings != Headings.NONE) {
            println(separator, i -> pad(headings.of(fields.get(i)), widths[i]));
        }
        for (List<String> row : rows) {
            println(separator, i -> cell(fields.get(i), row.get(i), widths[i]));
        }
    }

    private void println(String separator, IntFunction<String> cells) {
        session.out().println(IntStream.range(0, fields.size()).mapToObj(cells).collect(Collectors.joining(separator)));
    }

    /** A line for each field, with every device's value. */
    private void printColumnsAsRows(List<List<String>> rows, String separator) {
        for (int i = 0; i < fields.size(); i++) {
            List<String> line = new ArrayList<>();
            if (headings != Headings.NONE) {
                line.add(headings.of(fields.get(i)));
            }
            for (List<String> row : rows) {
                line.add(cell(fields.get(i), row.get(i), 0));
            }
            session.out().println(String.join(separator, line));
        }
    }

    private String cell(ReportField field, String value, int width) {
        if (session.has(Switch.NAMEPREFIXES)) {
            String quote = session.has(Switch.UNQUOTED) ? "" : "'";
            return "DM_" + field.name() + "=" + quote + value + quote;
        }
        return field.number ? " ".repeat(Math.max(0, width - value.length())) + value : pad(value, width);
    }

    private int[] widths(List<List<String>> rows) {
        int[] widths = new int[fields.size()];
        for (int i = 0; i < widths.length; i++) {
            widths[i] = Math.max(fields.get(i).width, headings.of(fields.get(i)).length());
            for (List<String> row : session.has(Switch.UNBUFFERED) ? List.<List<String>>of() : rows) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        return widths;
    }

    private static String pad(String text, int width) {
        return text + " ".repeat(Math.max(0, width - text.length()));
    }

    private List<Row> sorted(List<Row> rows) throws IOException {
        record Keyed(Row row, List<String> keys) {}
        List<Keyed> keyed = new ArrayList<>();
        for (Row row : rows) {
            List<String> values = new ArrayList<>();
            for (SortKey key : sort) {
                values.add(row.value(key.field));
            }
            keyed.add(new Keyed(row, values));
        }
        keyed.sort((a, b) -> compare(a.keys, b.keys));
        return keyed.stream().map(Keyed::row).toList();
    }

    private int compare(List<String> a, List<String> b) {
        for (int i = 0; i < sort.size(); i++) {
            SortKey key = sort.get(i);
            String left = a.get(i);
            String right = b.get(i);
            int order = key.field.number
                    ? Long.compare(Long.parseLong(left), Long.parseLong(right))
                    : left.compareTo(right);
            if (order != 0) {
                return key.descending ? -order : order;
            }
        }
        return 0;
    }
}
