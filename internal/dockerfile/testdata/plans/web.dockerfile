# syntax=docker/dockerfile:1
ARG NODE=20

FROM node:${NODE} AS deps
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci

FROM deps AS test
RUN npm test

FROM deps AS build
ENV NODE_ENV=production
COPY . .
RUN --mount=type=secret,id=token,env=TOKEN \
    --mount=type=ssh \
    npm run build

FROM nginx AS web
LABEL org.opencontainers.image.title="the web"
COPY --from=build --chown=101:101 /app/dist /usr/share/nginx/html
EXPOSE 80
USER nginx
