// SPDX-License-Identifier: Apache-2.0
/** Benchmarks of the I/O path that fio can't do. */
package org.dmera.bench.io;
