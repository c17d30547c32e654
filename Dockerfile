# docker build -t spinloom .
# docker run --rm -v "$PWD/results:/spinloom/results" spinloom                         the smoke study
# docker run --rm -v "$PWD/results:/spinloom/results" spinloom configs/stt_mtj.yaml    another one
FROM python:3.11-slim-bookworm
WORKDIR /spinloom
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
ENTRYPOINT ["python", "-m", "spinloom", "run"]
CMD ["configs/smoke.yaml"]
