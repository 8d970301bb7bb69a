/**
 * The member's program, unchanged, on a disk and a clock that obey orders. They come from the parent process, over the
 * channel that `spawn` opens (stdio 'ipc'); those that must count from the first moment on come in the environment. What
 * struck is noted in a file, written at once: a process that ends has no time for messages.
 */
import { appendFileSync } from 'node:fs'
import { systemClock } from '../../lib/system-clock.ts'
import { seeded } from '../../node-server/raft/testing/random.ts'
import { runMember } from '../../node-server/run-member.ts'
import { realVolume } from '../../node-server/storage/volume.ts'
import { FaultyClock } from './faulty-clock.ts'
import { FaultyVolume } from './faulty-volume.ts'
import { EVENTS_FILE, FIRST_ORDERS, Orders, type Order } from './orders.ts'

const eventsFile = process.env[EVENTS_FILE]
const volume = new FaultyVolume(realVolume, (event) => {
  if (eventsFile !== undefined) appendFileSync(eventsFile, `${process.pid} ${event}\n`)
})
const clock = new FaultyClock(systemClock)

function obey(order: Order): void {
  switch (order.kind) {
    case 'disk':
      return void Object.assign(volume.faults, order.faults)
    case 'clock':
      clock.jumpWall(order.wallJumpMs)
      clock.leap(order.leapMs)
      clock.setRate(order.rate)
      return
    case 'lose-power': {
      const random = seeded(order.seed)
      const keptShare = random.next()
      volume.losePower(() => random.chance(keptShare))
      process.kill(process.pid, 'SIGKILL')
      return
    }
    default:
      order satisfies never
  }
}

function obeyAll(text: unknown): void {
  for (const order of Orders.parse(text)) obey(order)
}

obeyAll(JSON.parse(process.env[FIRST_ORDERS] ?? '[]'))
process.on('message', obeyAll)
// Whoever gives the orders is gone: nobody would end this process.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
await runMember(process.argv.slice(2), { volume, clock })
