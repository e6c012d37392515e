// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;

/** One line about a stream, for people. */
public final class StreamText {
    private StreamText() {}

    public static String of(StreamHeader header, StreamFooter footer) {
        return span(header) + ": " + ByteCount.text(footer.dataBytes()) + " of data and "
                + ByteCount.text(footer.zeroBytes()) + " of zeroes of an origin of "
                + ByteCount.text(header.originSizeBytes()) + ", in " + footer.chunks()
                + (footer.chunks() == 1 ? " chunk, " : " chunks, ")
                + ByteCount.text(footer.streamBytes() + StreamFooter.BYTES);
    }

    static String span(StreamHeader header) {
        return (header.isFull() ? "full" : "changes since era " + header.baseEra()) + ", up to era " + header.newEra();
    }
}
