// SPDX-License-Identifier: Apache-2.0
/** Benchmarks of the tools' inner loops. Whole processes are compared by {@code tests/bench/compare}. */
package org.dmera.bench.tools;
