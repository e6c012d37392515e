// SPDX-License-Identifier: Apache-2.0
/** Made-up metadata of any size, the same for the same seed: for benchmarks, tests and trying things out. */
package org.dmera.tools.generate;
