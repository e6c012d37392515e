// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.StringReader;
import java.util.BitSet;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/** What an XML dump says, boiled down to the question that matters: when was each block last written? */
final class Dump {
    private final int blockSizeSectors;
    private final int currentEra;
    private final int[] eraOfBlock;
    private final boolean writesetsAreAsLongAsTheOrigin;

    private Dump(int blockSizeSectors, int currentEra, int[] eraOfBlock, boolean writesetsAreAsLongAsTheOrigin) {
        this.writesetsAreAsLongAsTheOrigin = writesetsAreAsLongAsTheOrigin;
        this.blockSizeSectors = blockSizeSectors;
        this.currentEra = currentEra;
        this.eraOfBlock = eraOfBlock;
    }

    int blockSizeSectors() {
        return blockSizeSectors;
    }

    int nrBlocks() {
        return eraOfBlock.length;
    }

    int currentEra() {
        return currentEra;
    }

    /** False when the origin has grown or shrunk since one of the writesets began. */
    boolean writesetsAreAsLongAsTheOrigin() {
        return writesetsAreAsLongAsTheOrigin;
    }

    int eraOfBlock(int block) {
        return eraOfBlock[block];
    }

    /** Reads {@code era_dump}'s output. A later writeset outranks an earlier one and the era array. */
    static Dump parse(String xml) throws XMLStreamException {
        XMLStreamReader reader = XMLInputFactory.newDefaultFactory().createXMLStreamReader(new StringReader(xml));
        int blockSize = 0;
        int nrBlocks = 0;
        int currentEra = 0;
        int[] eras = null;
        int[] fromWritesets = null;
        int writeset = 0;
        boolean sameLength = true;
        while (reader.hasNext()) {
            if (reader.next() != XMLStreamConstants.START_ELEMENT) {
                continue;
            }
            switch (reader.getLocalName()) {
                case "superblock" -> {
                    blockSize = number(reader, "block_size");
                    nrBlocks = number(reader, "nr_blocks");
                    currentEra = number(reader, "current_era");
                    eras = new int[nrBlocks];
                    fromWritesets = new int[nrBlocks];
                }
                case "writeset" -> {
                    writeset = number(reader, "era");
                    sameLength &= number(reader, "nr_bits") == nrBlocks;
                }
                case "bit" -> {
                    int block = number(reader, "block");
                    if (block < nrBlocks && "true".equals(reader.getAttributeValue(null, "value"))) {
                        fromWritesets[block] = Math.max(fromWritesets[block], writeset);
                    }
                }
                case "era" -> eras[number(reader, "block")] = number(reader, "era");
                default -> {
                    // era_array: nothing to take from the element itself.
                }
            }
        }
        for (int block = 0; block < nrBlocks; block++) {
            if (fromWritesets[block] > 0) {
                eras[block] = fromWritesets[block];
            }
        }
        return new Dump(blockSize, currentEra, eras, sameLength);
    }

    /** Reads {@code era_invalidate}'s {@code <blocks>}. */
    static BitSet parseBlocks(String xml) throws XMLStreamException {
        XMLStreamReader reader = XMLInputFactory.newDefaultFactory().createXMLStreamReader(new StringReader(xml));
        BitSet blocks = new BitSet();
        while (reader.hasNext()) {
            if (reader.next() != XMLStreamConstants.START_ELEMENT) {
                continue;
            }
            switch (reader.getLocalName()) {
                case "range" -> blocks.set(number(reader, "begin"), number(reader, "end"));
                case "block" -> blocks.set(number(reader, "block"));
                default -> {
                    // blocks
                }
            }
        }
        return blocks;
    }

    private static int number(XMLStreamReader reader, String attribute) {
        return Integer.parseInt(reader.getAttributeValue(null, attribute));
    }

    /** The same as a record that a workload can go on from; a length is not in a dump, so the last block is a whole one. */
    EraRecord toRecord() {
        return new EraRecord(blockSizeSectors, currentEra, eraOfBlock);
    }
}
