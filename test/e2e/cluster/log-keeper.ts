/** Keeps what every container says, also of pods that are gone before anybody asks: Kubernetes deletes their logs. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { daemon } from '../process.ts'
import type { Kube } from './kube.ts'

const Running = z.object({
  status: z.object({
    containerStatuses: z.array(
      z.object({ restartCount: z.number(), state: z.object({ running: z.looseObject({}).optional() }) }),
    ),
  }),
})

export interface LogKeeper {
  stop(): void
}

/** `folder` is emptied first; a file is named after pod, its UID and the container's restarts. */
export function keepLogs(kube: Kube, namespaces: readonly string[], folder: string): LogKeeper {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const followers = new Map<string, ChildProcess>()
  for (const namespace of namespaces) {
    kube.watch(`/api/v1/namespaces/${namespace}/pods`, (pod, isGone) => {
      const status = Running.safeParse(pod).data?.status.containerStatuses[0]
      if (isGone || status?.state.running === undefined) return
      const { name, uid } = pod.metadata
      const file = `${name}.${uid.slice(0, 8)}.${status.restartCount}.log`
      if (followers.has(file)) return
      const command = ['kubectl', '-n', namespace, 'logs', '--follow', `pod/${name}`]
      followers.set(file, daemon(command, join(folder, file), folder, kube.env))
    })
  }
  return {
    stop() {
      for (const follower of followers.values()) follower.kill()
    },
  }
}
