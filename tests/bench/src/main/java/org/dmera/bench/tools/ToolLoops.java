// SPDX-License-Identifier: Apache-2.0
package org.dmera.bench.tools;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.TimeUnit;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.read.MetadataRoots;
import org.dmera.tools.generate.MetadataGenerator;
import org.dmera.tools.io.OutputPipe;
import org.dmera.tools.xml.BlocksXmlWriter;
import org.dmera.tools.xml.MetadataXmlReader;
import org.dmera.tools.xml.MetadataXmlWriter;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The loops in which the tools spend their time, on metadata in memory of 2^20 blocks and 4 writesets (one XML of about
 * 200 MB, never held whole but for reading). One operation is one pass over all of it.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
        value = 1,
        jvmArgsAppend = {"-Xmx2g", "-XX:+UseSerialGC"})
@State(Scope.Thread)
public class ToolLoops {
    private static final long NR_BLOCKS = 1 << 20;
    private static final int WRITESETS = 4;

    private MemoryBlockDevice device;
    private MetadataRoots roots;
    private byte[] xml;
    private ByteBuffer blocks;
    private BlockSet changed;

    /** Makes the metadata, and its XML. */
    @Setup
    public void make() throws IOException {
        device = new MemoryBlockDevice((int) MetadataBuilder.sufficientBlocks(NR_BLOCKS, WRITESETS));
        new MetadataGenerator(128, NR_BLOCKS, WRITESETS + 10, WRITESETS, 0.1, 16, 1)
                .generate(new MetadataBuilder(device));
        roots = MetadataRoots.read(device);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(300_000_000);
        dump(Channels.newChannel(bytes), false);
        xml = bytes.toByteArray();
        blocks = ByteBuffer.allocateDirect(device.bytes().length).order(ByteOrder.LITTLE_ENDIAN);
        blocks.put(0, device.bytes());
        changed = ChangedBlocks.since(device, roots, 5);
    }

    private void dump(WritableByteChannel to, boolean compact) throws IOException {
        try (OutputPipe pipe = new OutputPipe(to)) {
            MetadataScanner.scan(device, roots, new MetadataXmlWriter(pipe, compact));
            pipe.finish();
        }
    }

    /** era_dump without the file. */
    @Benchmark
    public void writeXml() throws IOException {
        dump(new Nowhere(), false);
    }

    /** era_dump --compact without the file. */
    @Benchmark
    public void writeCompactXml() throws IOException {
        dump(new Nowhere(), true);
    }

    /** era_restore without the files. */
    @Benchmark
    public void readXml() throws IOException {
        MetadataXmlReader.read(
                Channels.newChannel(new ByteArrayInputStream(xml)), new MetadataBuilder(new MemoryBlockDevice(4096)));
    }

    /** era_restore of XML that is not in dump's shape: through the parser. */
    @Benchmark
    public void parseXml() throws IOException {
        var declared = new java.io.SequenceInputStream(
                new ByteArrayInputStream("<?xml version='1.0'?>".getBytes(java.nio.charset.StandardCharsets.US_ASCII)),
                new ByteArrayInputStream(xml));
        MetadataXmlReader.read(Channels.newChannel(declared), new MetadataBuilder(new MemoryBlockDevice(4096)));
    }

    /** era_invalidate's reading. */
    @Benchmark
    public BlockSet findChangedBlocks() throws IOException {
        return ChangedBlocks.since(device, roots, 5);
    }

    /** era_invalidate's writing. */
    @Benchmark
    public void listChangedBlocks() throws IOException {
        try (OutputPipe pipe = new OutputPipe(new Nowhere())) {
            BlocksXmlWriter.write(changed, pipe);
            pipe.finish();
        }
    }

    /** The floor of anything that verifies: the checksum of every block. */
    @Benchmark
    public int checksumAllBlocks() {
        BlockSeal seal = new BlockSeal();
        int bad = 0;
        for (int at = 0; at < blocks.capacity(); at += BlockDevice.BLOCK_BYTES) {
            bad += seal.verify(BlockType.ARRAY_BLOCK, blocks, at, at / BlockDevice.BLOCK_BYTES) == BlockSeal.Verdict.OK
                    ? 0
                    : 1;
        }
        return bad;
    }

    /** A channel that takes everything, as /dev/null does. */
    private static final class Nowhere implements WritableByteChannel {
        @Override
        public int write(ByteBuffer src) {
            int bytes = src.remaining();
            src.position(src.limit());
            return bytes;
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {
            // There is nothing to close.
        }
    }
}
