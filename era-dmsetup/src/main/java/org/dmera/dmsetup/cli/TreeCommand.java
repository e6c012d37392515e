// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmIoctl;

/** {@code ls --tree}: each device with what it sits on; {@code inverted}, with what sits on it. */
final class TreeCommand {
    /** A device, mapped or not; the latter have an empty name. */
    private static final class Node {
        final long dev;
        String name = "";
        String label = "";
        final List<Node> below = new ArrayList<>();
        final List<Node> above = new ArrayList<>();

        Node(long dev) {
            this.dev = dev;
        }
    }

    /** Columns that {@code -+-} takes. */
    private static final int BRANCH_WIDTH = 3;

    /** Of a line that is longer than what is not a terminal, or does not know its own width. */
    private static final int COLUMNS = 80;

    private static final String CUT = "...";

    private TreeOptions options;
    private Session session;
    private int columns;
    /** Whether every device of the list was still there when it was asked about. */
    private boolean allFound = true;

    boolean run(Session theSession, List<String> operands) throws IOException {
        session = theSession;
        options = TreeOptions.of(session.switches());
        columns = columns();
        Map<Long, Node> nodes = new LinkedHashMap<>();
        Map<Long, String> names = new LinkedHashMap<>();
        for (DeviceEntry entry : session.devices()) {
            names.put(entry.dev(), session.unmangle(entry.name()));
        }
        for (long dev : names.keySet()) {
            add(nodes, names, dev, null);
        }
        for (Node node : nodes.values()) {
            if ((options.has("inverted") ? node.below : node.above).isEmpty()) {
                children(node, new ArrayList<>(), new StringBuilder(node.label), 0);
            }
        }
        return allFound;
    }

    /** Adds a device and, depth first, what it sits on: the order in which branches are shown. */
    private void add(Map<Long, Node> nodes, Map<Long, String> names, long dev, Node above) throws IOException {
        Node node = nodes.get(dev);
        boolean isNew = node == null;
        if (isNew) {
            node = new Node(dev);
            nodes.put(dev, node);
            node.name = names.getOrDefault(dev, "");
            node.label = label(node);
        }
        if (above != null) {
            above.below.add(node);
            node.above.add(above);
        }
        if (isNew && names.containsKey(dev)) {
            for (long beneath : below(node)) {
                add(nodes, names, beneath, node);
            }
        }
    }

    private List<Long> below(Node node) throws IOException {
        try {
            return session.client().dependencies(DeviceId.ofNumber("", node.dev), session.has(Switch.INACTIVE));
        } catch (DmException e) {
            if (!e.is(Errno.ENXIO)) {
                throw e;
            }
            session.err().println("Device does not exist: " + node.name);
            allFound = false;
            return List.of();
        }
    }

    private String label(Node node) throws IOException {
        StringBuilder text = new StringBuilder(node.name);
        if (options.has("blkdevname")) {
            String name = DeviceNames.blockDeviceName(node.dev);
            if (name != null) {
                text.append(" <").append(name).append('>');
            }
        }
        if (!options.has("nodevice")) {
            text.append(" (").append(DevNumber.text(node.dev)).append(')');
        }
        if (options.needsState() && !node.name.isEmpty()) {
            DmIoctl io = session.info(DeviceId.ofNumber("", node.dev));
            if (io != null) {
                text.append(' ').append(state(DeviceState.of(session, io)));
            }
        }
        return text.toString();
    }

    private String state(DeviceState state) {
        List<String> words = new ArrayList<>();
        if (options.has("active")) {
            words.add(state.suspended() ? "SUSPENDED" : "ACTIVE");
        }
        if (options.has("rw")) {
            words.add(state.readOnly() ? "RO" : "RW");
        }
        if (options.has("open")) {
            words.add(Integer.toString(state.openCount()));
        }
        if (options.has("uuid")) {
            words.add(state.uuid());
        }
        return "[" + String.join(", ", words) + "]";
    }

    /** Devices that are not mapped have nothing but their number and their name in /dev. */
    private boolean isShown(Node node) {
        return !node.name.isEmpty() || !options.has("nodevice") || options.has("blkdevname");
    }

    private static int columns() {
        int ofTerminal = FileDescriptors.terminalColumns(1) - CUT.length();
        return ofTerminal > 0 ? ofTerminal : COLUMNS;
    }

    /** What fits of a line. In bytes of names, those that go on with a character of UTF-8 take no column. */
    private CharSequence cut(CharSequence line) {
        if (options.has("notrunc")) {
            return line;
        }
        int at = 0;
        int last = 0;
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            if (c > 0xff || (c & 0xc0) != 0x80) {
                at++;
                last = at == columns ? i : last;
            }
        }
        return at > columns ? line.subSequence(0, last) + CUT : line;
    }

    /**
     * Prints what hangs on a node.
     *
     * @param path for each level above the children: whether more follows there
     * @param branchWidth how much the indent is wider than the label: dmsetup counts the branch in for a device
     *     that is on one line with what is above it
     * @param line what is printed of the current line already; each line is printed when the next begins
     */
    private void children(Node node, List<String> path, StringBuilder line, int branchWidth) {
        List<Node> children = options.has("inverted") ? node.above : node.below;
        TreeOptions.Symbols symbols = options.symbols();
        int width = options.isCompact() ? node.label.length() + branchWidth : 0;
        if (isShown(node) && (children.isEmpty() || !options.isCompact())) {
            session.out().println(cut(line));
        }
        for (int i = 0; i < children.size(); i++) {
            boolean last = i + 1 == children.size();
            if (!isShown(children.get(i))) {
                if (i == 0 && options.isCompact()) {
                    session.out().println(cut(line));
                }
                continue;
            }
            String blank = " ".repeat(width);
            StringBuilder next;
            if (options.isCompact() && i == 0 && isShown(node)) {
                next = line.append(symbols.begin())
                        .append(last ? symbols.across() : symbols.down() + symbols.horizontal())
                        .append(symbols.end());
            } else {
                next = new StringBuilder(String.join("", path))
                        .append(blank)
                        .append(' ')
                        .append(symbols.begin())
                        .append(last ? symbols.corner() + symbols.horizontal() : symbols.tee())
                        .append(symbols.end());
            }
            next.append(children.get(i).label);
            path.add(blank + (last ? "   " : " " + symbols.begin() + symbols.vertical() + symbols.end() + " "));
            children(children.get(i), path, next, i == 0 ? BRANCH_WIDTH : 0);
            path.remove(path.size() - 1);
        }
    }
}
