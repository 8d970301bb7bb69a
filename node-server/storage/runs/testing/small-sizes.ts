/** Sizes with which a few kilobytes make many files, merges and rounds of the ring. */
import type { RunSizes } from '../../../limits.ts'

export const SMALL_SIZES: RunSizes = {
  maxRuns: 6,
  maxMerges: 3,
  fileSizeBytes: 24 * 1024,
  smallFileSizeBytes: 6 * 1024,
  syncSizeBytes: 8 * 1024,
  minRemovals: 50,
  ringSizeBytes: 64 * 1024,
  writerRingSizeBytes: 64 * 1024,
  filterInMemoryBytes: 256,
}
