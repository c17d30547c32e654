"""Fashion-MNIST: 60000 + 10000 pictures of clothes, 28 x 28, 8 bit (Xiao, Rasul, Vollgraf, arXiv 1708.07747; MIT)."""

from network.datasets.files.idx import IdxFile, dataset

DATASET = dataset(
    name="fashion_mnist",
    title="Fashion-MNIST articles of clothing",
    files=(
        IdxFile(
            "train_images",
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        IdxFile(
            "train_labels",
            "train-labels-idx1-ubyte",
            (60000,),
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        IdxFile(
            "test_images",
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        IdxFile(
            "test_labels",
            "t10k-labels-idx1-ubyte",
            (10000,),
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=("https://storage.googleapis.com/tensorflow/tf-keras-datasets",),
)
