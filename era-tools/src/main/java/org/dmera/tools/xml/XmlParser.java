// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import com.fasterxml.jackson.dataformat.xml.XmlFactory;
import java.io.CharConversionException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.dmera.core.content.ContentException;
import org.dmera.core.linux.NativeText;

/**
 * Reads metadata XML of any legal form: attributes in any order, comments, entities, any encoding. The stream reader is
 * the one that jackson-dataformat-xml sets up: no document type is processed, nothing outside the document is fetched.
 */
final class XmlParser {
    /** A property of Woodstox, which jackson-dataformat-xml brings. */
    private static final String LAZY_PARSING = "com.ctc.wstx.lazyParsing";
    /** Another: of texts and comments, which say nothing, whose whole the parser holds. */
    private static final String MAX_TEXT_LENGTH = "com.ctc.wstx.maxTextLength";

    private static final int MAX_TEXT = 1 << 20;

    /** Bytes of one piece of the document; the parser limits all but names. */
    private static final int MAX_PIECE = 16 << 20;

    /** Characters of a message. */
    private static final int MAX_SHOWN = 300;

    private final XMLStreamReader reader;
    private final Pieces pieces;
    private final ContentGatherer content;
    private final Deque<String> open = new ArrayDeque<>();
    private final long linesBefore;

    private XmlParser(XMLStreamReader reader, Pieces pieces, long linesBefore, ContentGatherer content) {
        this.reader = reader;
        this.pieces = pieces;
        this.linesBefore = linesBefore;
        this.content = content;
    }

    /**
     * Parses to the end of the document.
     *
     * @param position where {@code in} begins, after the tags that bring a parser there
     * @param linesBefore lines that came before {@code in}
     */
    static void parse(InputStream in, XmlPosition position, long linesBefore, ContentGatherer content)
            throws IOException {
        XMLInputFactory factory = new XmlFactory().getXMLInputFactory();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
        if (factory.isPropertySupported(LAZY_PARSING)) {
            // Else what is wrong in a text or a comment comes to light later, as a RuntimeException.
            factory.setProperty(LAZY_PARSING, false);
            factory.setProperty(MAX_TEXT_LENGTH, MAX_TEXT);
        }
        try {
            Pieces pieces = new Pieces(in);
            XMLStreamReader reader = factory.createXMLStreamReader(pieces);
            XmlParser parser = new XmlParser(reader, pieces, linesBefore, content);
            try {
                parser.run(position);
                content.end();
            } catch (ContentException e) {
                throw new IOException("XML line " + parser.line() + ": " + shown(e.getMessage()), e);
            } finally {
                reader.close();
            }
        } catch (XMLStreamException e) {
            throw failure(e, linesBefore);
        }
    }

    private static IOException failure(XMLStreamException e, long linesBefore) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            // Bytes that are no text in the document's encoding count as malformed, not as a failure to read.
            if (cause instanceof IOException io && !(cause instanceof CharConversionException)) {
                return io;
            }
        }
        // The parser appends its own idea of where it is, which doesn't know of the lines before.
        String message = String.valueOf(e.getMessage());
        int end = message.indexOf("\n at [row");
        end = end < 0 ? message.indexOf(" (at char #") : end;
        String what = end < 0 ? message : message.substring(0, end);
        int line = e.getLocation() == null ? -1 : e.getLocation().getLineNumber();
        return new IOException("XML line " + (linesBefore + Math.max(1, line)) + ": " + shown(what), e);
    }

    /** A name or a value in the document, which messages quote, may be as long as the document. */
    private static String shown(String text) {
        return NativeText.ofUnicode(text.length() <= MAX_SHOWN ? text : text.substring(0, MAX_SHOWN) + "…");
    }

    private long line() {
        return reader.getLocation().getLineNumber() + linesBefore;
    }

    private void run(XmlPosition position) throws XMLStreamException, IOException {
        int starts = position.starts;
        int ends = position.ends;
        while (reader.hasNext()) {
            pieces.bytes = 0;
            switch (reader.next()) {
                case XMLStreamConstants.START_ELEMENT -> {
                    String name = reader.getLocalName();
                    if (starts > 0) {
                        starts--;
                    } else {
                        start(name);
                    }
                    open.push(name);
                }
                case XMLStreamConstants.END_ELEMENT -> {
                    String name = open.pop();
                    if (ends > 0) {
                        ends--;
                    } else {
                        end(name);
                    }
                }
                case XMLStreamConstants.CHARACTERS, XMLStreamConstants.CDATA -> {
                    if (!reader.isWhiteSpace()) {
                        throw new ContentException("text where only elements can be");
                    }
                }
                case XMLStreamConstants.ENTITY_REFERENCE ->
                    throw new ContentException("the entity " + reader.getLocalName() + " is not defined");
                default -> {
                    // Comments, processing instructions and the like say nothing.
                }
            }
        }
    }

    private void start(String name) throws IOException {
        String parent = open.isEmpty() ? "" : open.peek();
        switch (parent + "/" + name) {
            case "/superblock" -> superblock();
            case "superblock/writeset" -> {
                Attributes a = new Attributes("era", "nr_bits");
                content.beginWriteset(a.number(0), a.number(1));
            }
            case "superblock/era_array" -> {
                new Attributes();
                content.beginEraArray();
            }
            case "writeset/bit" -> {
                Attributes a = new Attributes("block", "value");
                content.bit(a.number(0), a.truth(1));
            }
            case "writeset/marked" -> {
                Attributes a = new Attributes("block_begin", "len");
                content.marked(a.number(0), a.number(1));
            }
            case "era_array/era" -> {
                Attributes a = new Attributes("block", "era");
                content.era(a.number(0), a.number(1));
            }
            default ->
                throw new ContentException(
                        "unexpected element <" + name + ">" + (parent.isEmpty() ? "" : " in <" + parent + ">"));
        }
    }

    private void superblock() throws IOException {
        for (int i = 0; i < reader.getAttributeCount(); i++) {
            // Written by every dump, and kept by nobody: the kernel's superblock blanks it at each commit.
            if (reader.getAttributeLocalName(i).equals("uuid")) {
                Attributes a = new Attributes("uuid", "block_size", "nr_blocks", "current_era");
                content.superblock(a.number(1), a.number(2), a.number(3));
                return;
            }
        }
        Attributes a = new Attributes("block_size", "nr_blocks", "current_era");
        content.superblock(a.number(0), a.number(1), a.number(2));
    }

    private void end(String name) throws IOException {
        switch (name) {
            case "writeset" -> content.endWriteset();
            case "era_array" -> content.endEraArray();
            default -> {
                // Single bits were complete when they began; the document is when nothing comes after it.
            }
        }
    }

    /** Ends a document in which one piece goes on and on: the parser holds it whole. */
    private static final class Pieces extends FilterInputStream {
        /** Since the last piece. */
        long bytes;

        Pieces(InputStream in) {
            super(in);
        }

        @Override
        public int read(byte[] into, int from, int length) throws IOException {
            if (bytes > MAX_PIECE) {
                throw new IOException(
                        "XML: a name, or something else of more than " + MAX_PIECE + " bytes in one piece");
            }
            int n = super.read(into, from, length);
            bytes += n;
            return n;
        }
    }

    /** The attributes of the element at hand: these, each once, and no others. */
    private final class Attributes {
        private final String[] names;
        private final String[] values;

        Attributes(String... names) throws ContentException {
            this.names = names;
            this.values = new String[names.length];
            for (int i = 0; i < reader.getAttributeCount(); i++) {
                int at = indexOf(reader.getAttributeLocalName(i));
                // Twice it can be there under different prefixes.
                if (at < 0 || values[at] != null) {
                    throw new ContentException(element() + ": unexpected attribute " + reader.getAttributeLocalName(i));
                }
                values[at] = reader.getAttributeValue(i);
            }
            for (int i = 0; i < names.length; i++) {
                if (values[i] == null) {
                    throw new ContentException(element() + ": attribute " + names[i] + " is missing");
                }
            }
        }

        private String element() {
            return "<" + reader.getLocalName() + ">";
        }

        private int indexOf(String name) {
            for (int i = 0; i < names.length; i++) {
                if (names[i].equals(name)) {
                    return i;
                }
            }
            return -1;
        }

        long number(int index) throws ContentException {
            String text = values[index];
            long value = 0;
            boolean digits = !text.isEmpty() && text.length() <= 10;
            for (int i = 0; digits && i < text.length(); i++) {
                char c = text.charAt(i);
                digits = c >= '0' && c <= '9';
                value = value * 10 + (c - '0');
            }
            if (!digits || value > 0xFFFFFFFFL) {
                throw new ContentException(element() + ": " + names[index] + " is \"" + text
                        + "\", expected a number from 0 to 4294967295");
            }
            return value;
        }

        boolean truth(int index) throws ContentException {
            return switch (values[index]) {
                case "true" -> true;
                case "false" -> false;
                default ->
                    throw new ContentException(
                            element() + ": " + names[index] + " is \"" + values[index] + "\", expected true or false");
            };
        }
    }
}
