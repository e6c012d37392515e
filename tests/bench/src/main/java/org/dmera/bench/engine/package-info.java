// SPDX-License-Identifier: Apache-2.0
/** Benchmarks of the transactional engine. */
package org.dmera.bench.engine;
