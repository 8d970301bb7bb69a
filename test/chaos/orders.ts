/** What the nemesis tells a member's disk and clock to do. */
import { z } from 'zod'

/** Environment: JSON of the orders that count from the start of the process on. */
export const FIRST_ORDERS = 'RAFTKV_CHAOS_ORDERS'
/** Environment: the file to which each disk fault that struck is appended, a line each: process ID and event. */
export const EVENTS_FILE = 'RAFTKV_CHAOS_EVENTS'

export const Order = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('disk'),
    faults: z.object({
      syncDelayMs: z.number().exactOptional(),
      isFull: z.boolean().exactOptional(),
      failNext: z.enum(['log', 'store', 'nothing']).exactOptional(),
    }),
  }),
  z.object({ kind: z.literal('clock'), wallJumpMs: z.number(), leapMs: z.number(), rate: z.number() }),
  z.object({ kind: z.literal('lose-power'), seed: z.number() }),
])
export type Order = z.infer<typeof Order>
export const Orders = z.array(Order)
