// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.ReadableByteChannel;
import org.dmera.core.content.ContentException;
import org.dmera.core.content.MetadataVisitor;

/**
 * Reads metadata XML: by {@link DumpScanner} as far as it looks as era_dump writes it, and by {@link XmlParser} from
 * there on, so that any legal XML is read and the usual one fast.
 */
public final class MetadataXmlReader {
    private MetadataXmlReader() {}

    /**
     * Reads a whole document.
     *
     * @throws IOException with the line, when it isn't well-formed or says what can't be; the visitor has had what came
     *     before, but not its end
     */
    public static void read(ReadableByteChannel in, MetadataVisitor visitor) throws IOException {
        ContentGatherer content = new ContentGatherer(visitor);
        DumpScanner scanner = new DumpScanner(in, content);
        boolean whole;
        try {
            whole = scanner.scan();
            if (whole) {
                content.end();
            }
        } catch (ContentException e) {
            throw new IOException("XML line " + (scanner.lines() + 1) + ": " + e.getMessage(), e);
        }
        if (!whole) {
            XmlParser.parse(
                    new RestOfDocument(scanner.position().opening, scanner.rest(), in),
                    scanner.position(),
                    scanner.lines(),
                    content);
        }
    }

    /** Reads a whole document by the parser alone. */
    static void readByParser(ReadableByteChannel in, MetadataVisitor visitor) throws IOException {
        XmlParser.parse(new RestOfDocument("", new byte[0], in), XmlPosition.START, 0, new ContentGatherer(visitor));
    }

    /** The opening tags of what the scanner has read, then what it left. */
    private static final class RestOfDocument extends InputStream {
        private final byte[] head;
        private final ReadableByteChannel in;
        private int at;

        RestOfDocument(String opening, byte[] rest, ReadableByteChannel in) {
            this.in = in;
            head = new byte[opening.length() + rest.length];
            for (int i = 0; i < opening.length(); i++) {
                head[i] = (byte) opening.charAt(i);
            }
            System.arraycopy(rest, 0, head, opening.length(), rest.length);
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] bytes, int from, int length) throws IOException {
            if (at < head.length) {
                int n = Math.min(length, head.length - at);
                System.arraycopy(head, at, bytes, from, n);
                at += n;
                return n;
            }
            return in.read(java.nio.ByteBuffer.wrap(bytes, from, length));
        }
    }
}
