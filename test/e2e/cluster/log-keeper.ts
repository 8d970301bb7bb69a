/** Keeps what every container says, also of pods that are gone before anybody asks: Kubernetes deletes their logs. */
import { createWriteStream } from 'node:fs'
import { get, type ClientRequest } from 'node:http'
import { join } from 'node:path'
import { z } from 'zod'
import type { Kube } from './kube.ts'

const Container = z.object({
  name: z.string(),
  restartCount: z.number(),
  state: z.object({ running: z.looseObject({}).optional() }),
})
const Pod = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string(), uid: z.string() }),
  status: z.object({ containerStatuses: z.array(Container) }),
})

export interface LogKeeper {
  stop(): void
}

/** A file is named after namespace, pod, the pod's UID, and the container and its restarts. */
export function keepLogs(kube: Kube, namespaces: ReadonlySet<string>, folder: string): LogKeeper {
  const followers = new Map<string, ClientRequest>()
  kube.watch('/api/v1/pods', (object, isGone) => {
    const pod = Pod.safeParse(object).data
    if (pod === undefined || isGone || !namespaces.has(pod.metadata.namespace)) return
    const { namespace, name, uid } = pod.metadata
    for (const container of pod.status.containerStatuses) {
      const file = `${namespace}.${name}.${uid.slice(0, 8)}.${container.name}.${container.restartCount}.log`
      if (container.state.running === undefined || followers.has(file)) continue
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/log?follow=true&container=${container.name}`
      const request = get(kube.url + path, (response) => {
        if (response.statusCode === 200) response.pipe(createWriteStream(join(folder, file)))
        else {
          response.resume()
          followers.delete(file) // it is asked for again when the pod changes
        }
      })
      request.on('error', () => {}) // the pod, or the run, has ended
      followers.set(file, request)
    }
  })
  return {
    stop() {
      for (const follower of followers.values()) follower.destroy()
    },
  }
}
